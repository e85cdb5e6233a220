"""The document that `ls` prints: one state file's checked, several merged, the wanted items picked; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from kubectl_localize.cli.listing.label_selector import Requirement, matches
from kubectl_localize.cluster.selection import near
from kubectl_localize.model import ServiceKey

API_VERSION = "localize/v1"
Document = dict[str, Any]
Item = dict[str, Any]

_PORT = {
    "name": str, "port": int, "localPort": int, "targetPort": (int, str), "protocol": str, "status": str,
    "reason": str, "local": str, "connections": int, "bytesIn": int, "bytesOut": int, "restarts": int,
    "children": [{"pod": str, "pid": int, "connections": int}],
}  # fmt: skip
_ITEM = {
    "kind": str, "context": str, "namespace": str, "name": str, "status": str, "reason": str, "address": str,
    "since": str, "pod": str, "hostnames": [str], "endpoints": [str], "labels": dict, "ports": [_PORT],
    "pods": [{"name": str, "address": str, "hostnames": [str]}],
}  # fmt: skip
_SUPERVISOR = {
    "context": str, "pid": int, "startedAt": str, "version": str, "hosts": str, "children": int, "warnings": [str],
}  # fmt: skip
_SHAPE = {"supervisors": [_SUPERVISOR], "items": [_ITEM]}
_REQUIRED = {
    "document": ("supervisors", "items"),
    "supervisors": ("context", "pid"),
    "items": ("context", "namespace", "name", "status"),
}


class DocumentError(ValueError):
    """A state file holds something else than the contract says; the message says what."""


def parse_document(text: str) -> Document:
    """One state file's document, in which every field that is there has the type of the contract.

    Raises:
        ValueError: it is no JSON; or, as DocumentError, no such document or one of another version.
    """
    document = json.loads(text)
    if not isinstance(document, dict):
        raise DocumentError("it holds no document")
    version = document.get("apiVersion")
    if version != API_VERSION:
        raise DocumentError(f"its apiVersion is {version!r}, not {API_VERSION!r}")
    _check(document, _SHAPE, "document")
    return document


def _check(value: Any, shape: Any, where: str) -> None:
    """Raises DocumentError where a value has not the types of `shape`; fields that it does not name are let through."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise DocumentError(f"{where} is no list")
        for element in value:
            _check(element, shape[0], where)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise DocumentError(f"{where} is no object")
        for key in _REQUIRED.get(where, ()):
            if value.get(key) is None:
                raise DocumentError(f"{where} has no {key}")
        for key, expected in shape.items():
            if value.get(key) is not None:
                _check(value[key], expected, key)
    elif not isinstance(value, shape):
        raise DocumentError(f"{where} is {value!r}")


def merge(documents: Iterable[Document]) -> Document:
    """One document of several: supervisors by context, items by context, namespace, name and kind."""
    read = list(documents)
    supervisors = [supervisor for document in read for supervisor in document["supervisors"]]
    items = [item for document in read for item in document["items"]]
    return {
        "apiVersion": API_VERSION,
        "kind": "List",
        "supervisors": sorted(supervisors, key=lambda supervisor: (supervisor["context"], supervisor["pid"])),
        "items": sorted(items, key=lambda item: (*item_key(item), item.get("kind") or "")),
    }


def item_key(item: Item) -> tuple[str, str, str]:
    """Context, namespace and name: what one row of the table is about."""
    return item["context"], item["namespace"], item["name"]


@dataclass(frozen=True)
class Filter:
    """Which items are wanted; what is empty does not narrow.

    Args:
        patterns: `svc`, `ns/svc` or globs; without a slash in any namespace.
        requirements: the label selector's.
    """

    context: str = ""
    namespaces: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    requirements: tuple[Requirement, ...] = ()

    @property
    def narrows_items(self) -> bool:
        """Whether it may leave out a Service of a supervisor that it lets through."""
        return bool(self.namespaces or self.patterns or self.requirements)

    def apply(self, document: Document) -> Document:
        """The document with the wanted supervisors and items only."""
        supervisors = [entry for entry in document["supervisors"] if self.context in ("", entry["context"])]
        return {**document, "supervisors": supervisors, "items": [i for i in document["items"] if self._wants(i)]}

    def _wants(self, item: Item) -> bool:
        context, namespace, name = item_key(item)
        return (
            self.context in ("", context)
            and (not self.namespaces or namespace in self.namespaces)
            and (not self.patterns or any(_matches(pattern, namespace, name) for pattern in self.patterns))
            and matches(self.requirements, item.get("labels") or {})
        )


def _matches(pattern: str, namespace: str, name: str) -> bool:
    namespace_pattern, slash, name_pattern = pattern.rpartition("/")
    return fnmatchcase(name, name_pattern) and (not slash or fnmatchcase(namespace, namespace_pattern))


def near_names(wanted: Filter, document: Document) -> str:
    """What a name that matches nothing may have been meant for: `did you mean web?`; empty where it is near none."""
    if not wanted.narrows_items:
        return ""
    from difflib import get_close_matches

    items = [item for item in document["items"] if wanted.context in ("", item["context"])]
    namespaces = {item["namespace"] for item in items}
    for name in wanted.namespaces:
        if name not in namespaces and (places := get_close_matches(name, sorted(namespaces), 1)):
            return f"did you mean -n {places[0]}?"
    for pattern in wanted.patterns:
        found = near(pattern, {ServiceKey(item["namespace"], item["name"]) for item in items})
        if found not in ("", pattern):
            return f"did you mean {found}?"
    return ""


def other_version(supervisor: dict[str, Any], own: str) -> str:
    """A sentence about a supervisor that another version of this program started; empty where it is the same."""
    version = supervisor.get("version", own)
    return "" if version == own else f"the supervisor (pid {supervisor['pid']}) is of version {version}, this is {own}"


def notes(document: Document, own: str) -> list[str]:
    """What is to be said about the supervisors, a sentence each, for stderr.

    Args:
        own: this program's version.
    """
    found: list[str] = []
    several = len({entry["context"] for entry in document["supervisors"]}) > 1
    for entry in document["supervisors"]:
        said = list(entry.get("warnings") or ())
        if entry.get("hosts") == "denied":
            said.append("names are not in the hosts file: it may not be written; start again with privileges")
        if other := other_version(entry, own):
            said.append(f"{other}; `kubectl localize stop` ends it, and the next start brings the new one")
        found += [f"context {entry['context']}: {text}" if several else text for text in said]
    return found
