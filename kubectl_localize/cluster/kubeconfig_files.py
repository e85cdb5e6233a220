"""Reads kubeconfig files without kubectl, for what cannot wait for one: names, and which cluster a context means.

The files are merged as kubectl merges them (https://kubernetes.io/docs/concepts/configuration/
organize-cluster-access-kubeconfig/#merging-kubeconfig-files): the first file that sets a value or a name wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

_LISTS = ("contexts", "clusters", "users")


def read_view(files: Sequence[str]) -> dict[str, Any]:
    """What `kubectl config view -o json` says of contexts and clusters; of users only their names.

    A file that is missing or cannot be read counts as empty.
    """
    return merge(_load(file) for file in files)


def merge(documents: Iterable[Any]) -> dict[str, Any]:
    """The documents of several files as one; what has not the shape of a kubeconfig is left out."""
    current = ""
    found: dict[str, dict[str, dict[str, Any]]] = {plural: {} for plural in _LISTS}
    for document in documents:
        if not isinstance(document, dict):
            continue
        current = current or _text(document.get("current-context"))
        for plural in _LISTS:
            for name, content in _entries(document.get(plural), plural.removesuffix("s")):
                found[plural].setdefault(name, content)
    view: dict[str, Any] = {"current-context": current}
    for plural, entries in found.items():
        singular = plural.removesuffix("s")
        view[plural] = [{"name": name, singular: content} for name, content in entries.items()]
    return view


def _entries(entries: Any, singular: str) -> Iterable[tuple[str, dict[str, Any]]]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and _text(entry.get("name")):
            content = entry.get(singular)
            if singular == "user" or not isinstance(content, dict):
                content = {}  # credentials are none of our business
            yield entry["name"], content


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _load(file: str) -> Any:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it
    try:
        return yaml.load(Path(file).read_bytes(), Loader=loader)
    except (OSError, ValueError, yaml.YAMLError):
        return None
