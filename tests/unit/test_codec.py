"""Dataclasses to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest

from kubectl_localize.codec import CodecError, camel, from_json, to_json


class Color(StrEnum):
    """An enum."""

    RED = "red"


@dataclass(frozen=True)
class Inner:
    """A dataclass inside another."""

    local_port: int
    name: str = "web"


@dataclass(frozen=True)
class Outer:
    """A field of each kind that the codec knows."""

    color: Color
    seconds: float
    inner: Inner
    many: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("a", 1)
    target: int | str = 0
    maybe: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    anything: Any = None


OUTER = Outer(Color.RED, 1.5, Inner(80), (Inner(1, "a"), Inner(2)), ("b", 2), "http", "x", {"app": "web"}, [1, {}])
JSON = {
    "color": "red",
    "seconds": 1.5,
    "inner": {"localPort": 80, "name": "web"},
    "many": [{"localPort": 1, "name": "a"}, {"localPort": 2, "name": "web"}],
    "pair": ["b", 2],
    "target": "http",
    "maybe": "x",
    "labels": {"app": "web"},
    "anything": [1, {}],
}
LEAST = {"color": "red", "seconds": 1, "inner": {"localPort": 80}}


def test_there_and_back() -> None:
    assert to_json(OUTER) == JSON
    assert list(to_json(OUTER)) == list(JSON)
    assert from_json(Outer, JSON) == OUTER


def test_what_is_absent_has_its_default_and_an_integer_is_a_float() -> None:
    least = from_json(Outer, LEAST)
    assert least == Outer(Color.RED, 1.0, Inner(80))
    assert type(least.seconds) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"color": "blue"}, "color is 'blue'"),
        ({"color": []}, r"color is \[\]"),
        ({"seconds": True}, "seconds is True"),
        ({"inner": 3}, "inner is no object"),
        ({"inner": {}}, "inner has no localPort"),
        ({"inner": {"localPort": True}}, "inner.localPort is True"),
        ({"many": {}}, "many is no list"),
        ({"many": [{"localPort": 1}, {"localPort": "2"}]}, r"many\[1\].localPort is '2'"),
        ({"pair": ["a"]}, "pair has 1 elements, not 2"),
        ({"pair": ["a", "b"]}, r"pair\[1\] is 'b'"),
        ({"target": 1.5}, "target is 1.5"),
        ({"maybe": 3}, "maybe is 3"),
        ({"labels": []}, "labels is no object"),
        ({"labels": {"app": None}}, "labels.app is None"),
    ],
)
def test_a_mistake_is_named_with_its_place(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CodecError, match=f"^{message}$"):
        from_json(Outer, {**LEAST, **change})
    with pytest.raises(CodecError, match=f"^items.{message}$"):
        from_json(Outer, {**LEAST, **change}, place="items")


@pytest.mark.parametrize(("data", "message"), [([], "it is no object"), ({}, "it has no localPort")])
def test_a_mistake_at_the_top(data: Any, message: str) -> None:
    with pytest.raises(CodecError, match=f"^{message}$"):
        from_json(Inner, data)


def test_a_key_that_is_not_known_is_left_out_or_an_error() -> None:
    newer = {**LEAST, "inner": {"localPort": 80, "later": 1}}
    assert from_json(Outer, newer) == from_json(Outer, LEAST)
    with pytest.raises(CodecError, match=r"^inner has an unknown later$"):
        from_json(Outer, newer, strict=True)


@pytest.mark.parametrize(("name", "key"), [("port", "port"), ("local_port", "localPort"), ("a_b_c", "aBC")])
def test_keys(name: str, key: str) -> None:
    assert camel(name) == key
