"""Kubernetes' label selectors, applied on this machine: to the Services of a selection, and to the items of `ls`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.errors import LocalizeError

_KEY = r"[A-Za-z0-9](?:[-A-Za-z0-9._/]*[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[-A-Za-z0-9._]*[A-Za-z0-9])?)?"
# Patterns as text: most runs of `ls` have no selector, and compiling them takes 1 ms.
_EXISTS = rf"(!?)\s*({_KEY})"
_EQUALITY = rf"({_KEY})\s*(!=|==?)\s*({_VALUE})"
_SET = rf"({_KEY})\s+(in|notin)\s*\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)"
_COMMA_OUTSIDE_PARENTHESES = r",(?![^(]*\))"


@dataclass(frozen=True)
class Requirement:
    """One part of a selector.

    Args:
        key: the label.
        wanted: True if the value must be one of `values`, False if it must not; without values, whether the label must
            be there.
        values: None if only the label's being there counts.
    """

    key: str
    wanted: bool
    values: frozenset[str] | None = None


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """Parse a selector into its requirements, all of which must be met; an empty text has none.

    Raises:
        LocalizeError: the text is no selector.
    """
    if not text.strip():
        return ()
    return tuple(_requirement(part.strip(), text) for part in re.split(_COMMA_OUTSIDE_PARENTHESES, text))


def _requirement(part: str, selector: str) -> Requirement:
    if match := re.fullmatch(_EXISTS, part):
        return Requirement(match[2], not match[1])
    if match := re.fullmatch(_EQUALITY, part):
        return Requirement(match[1], match[2] != "!=", frozenset({match[3]}))
    if match := re.fullmatch(_SET, part):
        values = frozenset(value.strip() for value in match[3].split(","))
        return Requirement(match[1], match[2] == "in", values)
    raise LocalizeError(f"{selector!r} is not a label selector", "for example -l app=web,tier!=cache")


def matches(requirements: Sequence[Requirement], labels: Mapping[str, str]) -> bool:
    """Whether labels meet all requirements; a label that is not there meets `!=` and `notin`."""
    return all(_met(requirement, labels) for requirement in requirements)


def _met(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    if requirement.values is None:
        return (requirement.key in labels) == requirement.wanted
    return (labels.get(requirement.key) in requirement.values) == requirement.wanted
