"""Kubernetes' label selectors, for what is filtered on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.errors import LocalizeError

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9._/]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9._]*[A-Za-z0-9])?)?"
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_EQUALITY = re.compile(rf"({_KEY})\s*(!=|==?)\s*({_VALUE})")
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)")
_COMMA_OUTSIDE = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True)
class Requirement:
    """One part of a selector.

    Args:
        key: the label.
        wanted: whether its value has to be among `values`, or must not be; without values, whether it has to exist.
        values: None where only existence counts.
    """

    key: str
    wanted: bool
    values: frozenset[str] | None = None


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """The requirements of a selector; an empty one has none.

    Raises:
        LocalizeError: it is no selector.
    """
    if not text.strip():
        return ()
    return tuple(_requirement(part.strip(), text) for part in _COMMA_OUTSIDE.split(text))


def _requirement(part: str, selector: str) -> Requirement:
    if found := _EXISTS.fullmatch(part):
        return Requirement(found[2], not found[1])
    if found := _EQUALITY.fullmatch(part):
        return Requirement(found[1], found[2] != "!=", frozenset({found[3]}))
    if found := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in found[3].split(","))
        return Requirement(found[1], found[2] == "in", values)
    raise LocalizeError(f"{selector!r} is not a label selector", "for example -l app=web,tier!=cache")


def matches(requirements: Sequence[Requirement], labels: Mapping[str, str]) -> bool:
    """Whether labels meet all requirements; `!=` and `notin` are also met by a label that is not there."""
    return all(_met(requirement, labels) for requirement in requirements)


def _met(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    if requirement.values is None:
        return (requirement.key in labels) == requirement.wanted
    return (labels.get(requirement.key) in requirement.values) == requirement.wanted
