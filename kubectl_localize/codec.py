"""Converts frozen dataclasses to JSON and back, and checks types: for values that go over a socket or into a file.

`ls` decodes a thousand Services while somebody waits. So what a type says is worked out once, as a decoder (a function)
for each type, and the place of a mistake is put together only after one was made.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast

T = TypeVar("T")

# Takes a JSON value, and whether an unknown key is an error.
_Decoder = Callable[[Any, bool], Any]

_PLAIN = frozenset({str, int, float, bool, type(None)})


class CodecError(ValueError):
    """A JSON value does not fit its dataclass; the message names the place and the problem."""


class _MismatchError(Exception):
    """A mistake on its way up; each container that it passes puts its own part in front of the place.

    Args:
        problem: what is wrong, without a subject: `is no list`.
        place: where, as seen from the container it was raised in: `.ports[0]`.
    """

    def __init__(self, problem: str, place: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place

    def inside(self, part: str) -> _MismatchError:
        """The same error, with `part` put in front of its place."""
        return _MismatchError(self.problem, part + self.place)


def to_json(value: Any) -> Any:
    """A value as JSON has it.

    Args:
        value: a dataclass becomes an object with camelCase keys, in the order of its fields, unless it has a `to_json`
            of its own. Tuples and lists become lists, enums their values. All else is taken as it is.
    """
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple or kind is list:
        return [element if type(element) in _PLAIN else to_json(element) for element in value]
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        keys = _keys_of(kind)
        return {key: item if type(item := getattr(value, name)) in _PLAIN else to_json(item) for name, key in keys}
    return value


def from_json(kind: type[T], data: Any, *, place: str = "", strict: bool = False) -> T:
    """The dataclass that a JSON object stands for. A field that is not there gets its default.

    Args:
        kind: the dataclass.
        data: what `json.loads` returned.
        place: where the object stands, for the error.
        strict: whether a key that the dataclass does not have is an error; otherwise it is left out.

    Raises:
        CodecError: a field is missing or of another type.
    """
    try:
        return cast(T, _dataclass_decoder(cast(Any, kind))(data, strict))
    except _MismatchError as error:
        raise CodecError(f"{(place + error.place).lstrip('.') or 'it'} {error.problem}") from None


@cache
def camel(name: str) -> str:
    """`local_port` as JSON has it: `localPort`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@cache
def _keys_of(kind: type) -> tuple[tuple[str, str], ...]:
    """Name and JSON key of each field of a dataclass."""
    return tuple((field.name, camel(field.name)) for field in dataclasses.fields(cast(Any, kind)))


@cache
def _decoder(hint: Any) -> _Decoder:
    """The decoder of a type."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return _anything
    if origin is tuple:
        return _tuple_decoder(typing.get_args(hint))
    if origin in (Union, types.UnionType):
        return _union_decoder(typing.get_args(hint))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_decoder(_decoder(typing.get_args(hint)[1]))
    if hasattr(hint, "from_json"):
        return lambda data, _: hint.from_json(data)
    if dataclasses.is_dataclass(hint):
        return _dataclass_decoder(cast(Any, hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum_decoder(hint)
    return _plain_decoder(hint)


def _anything(data: Any, _: bool) -> Any:
    return data


def _plain_decoder(kind: type) -> _Decoder:
    def decode(data: Any, _: bool) -> Any:
        if type(data) is kind:
            return data
        if kind is float and type(data) is int:
            try:
                return float(data)
            except OverflowError:
                raise _MismatchError("is too large a number") from None
        raise _MismatchError(f"is {data!r}")

    return decode


def _enum_decoder(kind: type[Enum]) -> _Decoder:
    members = {member.value: member for member in kind}

    def decode(data: Any, _: bool) -> Any:
        try:
            return members[data]
        except (KeyError, TypeError):
            raise _MismatchError(f"is {data!r}") from None

    return decode


@cache
def _dataclass_decoder(kind: Any) -> _Decoder:
    hints = typing.get_type_hints(kind)
    missing = dataclasses.MISSING
    fields = [
        (
            field.name,
            camel(field.name),
            hints[field.name],
            _decoder(hints[field.name]),
            field.default is missing and field.default_factory is missing,
        )
        for field in dataclasses.fields(kind)
    ]
    known = {key for _, key, _, _, _ in fields}

    def decode(data: Any, strict: bool) -> Any:
        if not isinstance(data, dict):
            raise _MismatchError("is no object")
        values = {}
        for name, key, hint, decode_field, required in fields:
            if key in data:
                value = data[key]
                try:
                    # most fields are plain: comparing types here saves a call for each of them
                    values[name] = value if type(value) is hint else decode_field(value, strict)
                except _MismatchError as error:
                    raise error.inside(f".{key}") from None
            elif required:
                raise _MismatchError(f"has no {key}")
        if strict and (unknown := data.keys() - known):
            raise _MismatchError(f"has an unknown {min(unknown)}")
        return kind(**values)

    return decode


def _mapping_decoder(decode_value: _Decoder) -> _Decoder:
    def decode(data: Any, strict: bool) -> Any:
        if not isinstance(data, dict):
            raise _MismatchError("is no object")
        values = {}
        for key, value in data.items():
            try:
                values[key] = decode_value(value, strict)
            except _MismatchError as error:
                raise error.inside(f".{key}") from None
        return values

    return decode


def _tuple_decoder(hints: tuple[Any, ...]) -> _Decoder:
    """The decoder of `tuple[X, ...]`, or of one type for each place."""
    any_length = len(hints) == 2 and hints[1] is Ellipsis
    decoders = [_decoder(hint) for hint in hints if hint is not Ellipsis]

    def decode(data: Any, strict: bool) -> Any:
        if not isinstance(data, list):
            raise _MismatchError("is no list")
        if not any_length and len(data) != len(decoders):
            raise _MismatchError(f"has {len(data)} elements, not {len(decoders)}")
        values = []
        for decode_element, element in zip(decoders * len(data) if any_length else decoders, data, strict=True):
            try:
                values.append(decode_element(element, strict))
            except _MismatchError as error:
                raise error.inside(f"[{len(values)}]") from None
        return tuple(values)

    return decode


def _union_decoder(hints: tuple[Any, ...]) -> _Decoder:
    decoders = [_decoder(hint) for hint in hints if hint is not type(None)]

    def decode(data: Any, strict: bool) -> Any:
        if data is None and type(None) in hints:
            return None
        for decode_one in decoders:
            try:
                return decode_one(data, strict)
            except (_MismatchError, CodecError):
                continue
        raise _MismatchError(f"is {data!r}")

    return decode
