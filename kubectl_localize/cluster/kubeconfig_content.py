"""What kubeconfig files said at one moment: what one context uses of it, as a document that stands for itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kubectl_localize.cluster.kubeconfig import connection, merge, parse, read_regular
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection

Json = dict[str, Any]

_CLUSTER_PATHS = ("certificate-authority",)
_USER_PATHS = ("client-certificate", "client-key", "tokenFile")


@dataclass(frozen=True)
class KubeconfigContent:
    """The text of each file, in kubectl's order; a file that could not be read counts as empty.

    It holds credentials, which therefore stay out of its `repr`.
    """

    files: tuple[tuple[str, bytes], ...] = field(repr=False)

    @classmethod
    def read(cls, paths: Sequence[str]) -> KubeconfigContent:
        """Read files as they are now."""
        return cls(tuple((path, _text(path)) for path in paths))

    @property
    def is_empty(self) -> bool:
        """Whether no file says anything."""
        return not any(text.strip() for _, text in self.files)

    def reread(self, known: Connection) -> Connection | None:
        """The connection as these files have it; None if they do not have its context any more.

        A proxy that only the environment names stays.
        """
        try:
            current = connection(
                merge(self._documents()),
                kubectl=known.kubectl,
                kubeconfig=[path for path, _ in self.files],
                context=known.context,
                cluster=known.cluster,
            )
        except LocalizeError:
            return None
        return replace(
            known,
            kubeconfig=current.kubeconfig,
            server=current.server,
            proxy=current.proxy or known.proxy,
            identity=current.identity,
        )

    def alone(self, known: Connection) -> Json:
        """A kubeconfig with nothing but what a connection uses, and no path that depends on where it lies."""
        documents = self._documents()
        context = _entry(documents, "contexts", known.context)
        cluster_name = known.cluster or str(context.get("cluster", ""))
        user_name = known.user or str(context.get("user", ""))
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": known.context,
            "contexts": [{"name": known.context, "context": context}],
            "clusters": [{"name": cluster_name, "cluster": _entry(documents, "clusters", cluster_name)}],
            "users": [{"name": user_name, "user": _entry(documents, "users", user_name)}],
        }

    def credentials(self, known: Connection) -> Json:
        """What a connection's user consists of; empty if there is no such user."""
        user: Json = self.alone(known)["users"][0]["user"]
        return user

    def _documents(self) -> list[Any]:
        documents = []
        for path, text in self.files:
            document = parse(text)
            directory = os.path.dirname(path)
            for plural, singular, names in (("clusters", "cluster", _CLUSTER_PATHS), ("users", "user", _USER_PATHS)):
                for content in _contents(document, plural, singular):
                    _make_absolute(content, names, directory)
            documents.append(document)
        return documents


def _text(path: str) -> bytes:
    try:
        return read_regular(path)
    except OSError:
        return b""


def _contents(document: Any, plural: str, singular: str) -> list[Json]:
    entries = document.get(plural) if isinstance(document, dict) else None
    contents = (
        [entry.get(singular) for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    )
    return [content for content in contents if isinstance(content, dict)]


def _entry(documents: Sequence[Any], plural: str, name: str) -> Json:
    """The entry of this name in the first file that has one; empty if none has."""
    for document in documents:
        entries = document.get(plural) if isinstance(document, dict) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and entry.get("name") == name:
                content = entry.get(plural.removesuffix("s"))
                return dict(content) if isinstance(content, dict) else {}
    return {}


def _make_absolute(content: Json, names: Sequence[str], directory: str) -> None:
    """Make paths absolute as kubectl does: those of a plugin only if they have a directory."""
    for name in names:
        if isinstance(content.get(name), str) and content[name]:
            content[name] = os.path.join(directory, content[name])
    plugin = content.get("exec")
    command = plugin.get("command") if isinstance(plugin, Mapping) else None
    if isinstance(plugin, dict) and isinstance(command, str) and os.sep in command:
        plugin["command"] = os.path.join(directory, command)
