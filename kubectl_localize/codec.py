"""Frozen dataclasses to JSON and back, checked: the one way in which values cross a socket or stand in a file."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast

T = TypeVar("T")


class CodecError(ValueError):
    """A JSON value is not what a dataclass says; the message names the place and what stands there."""


def to_json(value: Any) -> Any:
    """A dataclass as a JSON object with camelCase keys, in the order of its fields; tuples become lists.

    A dataclass that has a `to_json` of its own decides for itself. Mappings, strings, numbers, booleans and None are
    taken as they are.
    """
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value):
        return {key: to_json(getattr(value, name)) for name, key, _, _ in fields_of(cast(Any, type(value)))}
    if isinstance(value, (tuple, list)):
        return [to_json(element) for element in value]
    if isinstance(value, Enum):
        return value.value
    return value


def from_json(kind: type[T], data: Any, *, place: str = "", strict: bool = False) -> T:
    """The dataclass that a JSON object stands for. Fields that are not there get their defaults.

    Args:
        place: where the object stands, for the error.
        strict: whether a key that the dataclass does not have is an error; otherwise it is left out.

    Raises: CodecError if a field is missing or of another type.
    """
    if not isinstance(data, dict):
        raise CodecError(f"{place or 'it'} is no object")
    values: dict[str, Any] = {}
    known = fields_of(cast(Any, kind))
    for name, key, hint, required in known:
        if key in data:
            values[name] = _decoded(hint, data[key], f"{place}.{key}" if place else key, strict)
        elif required:
            raise CodecError(f"{place or 'it'} has no {key}")
    if strict and (unknown := data.keys() - {key for _, key, _, _ in known}):
        raise CodecError(f"{place or 'it'} has an unknown {min(unknown)}")
    return kind(**values)


@cache
def fields_of(kind: Any) -> tuple[tuple[str, str, Any, bool], ...]:
    """Name, JSON key, type and whether it is required, for each field of a dataclass."""
    hints = typing.get_type_hints(kind)
    missing = dataclasses.MISSING
    return tuple(
        (
            field.name,
            camel(field.name),
            hints[field.name],
            field.default is missing and field.default_factory is missing,
        )
        for field in dataclasses.fields(kind)
    )


@cache
def camel(name: str) -> str:
    """`local_port` as JSON has it: `localPort`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _decoded(hint: Any, data: Any, place: str, strict: bool) -> Any:
    if hint is Any:
        return data
    origin = typing.get_origin(hint)
    if origin is tuple:
        return _tuple(typing.get_args(hint), data, place, strict)
    if origin in (Union, types.UnionType):
        return _union(typing.get_args(hint), data, place, strict)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise CodecError(f"{place} is no object")
        value_hint = typing.get_args(hint)[1]
        return {key: _decoded(value_hint, value, f"{place}.{key}", strict) for key, value in data.items()}
    if hasattr(hint, "from_json"):
        return hint.from_json(data)
    if dataclasses.is_dataclass(hint):
        return from_json(cast(type, hint), data, place=place, strict=strict)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError:
            raise CodecError(f"{place} is {data!r}") from None
    if hint is float and type(data) is int:
        return float(data)
    if type(data) is not hint:
        raise CodecError(f"{place} is {data!r}")
    return data


def _tuple(hints: tuple[Any, ...], data: Any, place: str, strict: bool) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise CodecError(f"{place} is no list")
    if len(hints) == 2 and hints[1] is Ellipsis:
        return tuple(_decoded(hints[0], element, f"{place}[{index}]", strict) for index, element in enumerate(data))
    if len(hints) != len(data):
        raise CodecError(f"{place} has {len(data)} elements, not {len(hints)}")
    return tuple(
        _decoded(hint, element, f"{place}[{index}]", strict)
        for index, (hint, element) in enumerate(zip(hints, data, strict=True))
    )


def _union(hints: tuple[Any, ...], data: Any, place: str, strict: bool) -> Any:
    if data is None and type(None) in hints:
        return None
    for hint in hints:
        if hint is not type(None):
            try:
                return _decoded(hint, data, place, strict)
            except CodecError:
                continue
    raise CodecError(f"{place} is {data!r}")
