"""Reads and merges kubeconfig files without kubectl, which would take 100 ms, and says which cluster a context means.

The files are merged as kubectl merges them (https://kubernetes.io/docs/concepts/configuration/
organize-cluster-access-kubeconfig/#merging-kubeconfig-files): the first file that sets a value or a name wins.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection

REDACTED = "DATA+OMITTED"  # what `kubectl config view` says instead of a CA
_LISTS = ("contexts", "clusters", "users")
_TEXTS = frozenset(["cluster", "user", "namespace", "server", "proxy-url"])


def connection(
    view: Mapping[str, Any],
    *,
    kubectl: str,
    kubectl_words: Sequence[str] = (),
    kubeconfig: Sequence[str],
    context: str = "",
    cluster: str = "",
    user: str = "",
    impersonate: str = "",
    impersonate_groups: Sequence[str] = (),
    directory: str = "",
) -> Connection:
    """The connection that kubectl would make with these flags.

    Args:
        view: the document that `kubectl config view -o json` prints; secrets are redacted in it.
        kubectl, kubectl_words, kubeconfig: as in `Connection`.
        context, cluster, user, impersonate, impersonate_groups: kubectl's flags, empty if not given.
        directory: as in `Connection`.

    Raises:
        LocalizeError: there is no such context or cluster.
    """
    contexts = _by_name(view, "contexts", "context")
    name = context or view.get("current-context") or ""
    if not contexts:
        raise LocalizeError(
            f"no cluster is configured in {' or '.join(kubeconfig) or kubectl}",
            "set KUBECONFIG or --kubeconfig; `kubectl config get-contexts` has to list one",
        )
    if not name:
        raise LocalizeError(
            "no context is chosen", "`kubectl config use-context NAME` chooses one, or name it with --context"
        )
    if "\0" in name:
        raise LocalizeError(
            "the context's name has a null byte, so it fits into no command line",
            "rename the context in the kubeconfig, or name another one with --context",
        )
    if name not in contexts:
        raise no_context(name, list(contexts))
    clusters = _by_name(view, "clusters", "cluster")
    cluster_name = cluster or contexts[name].get("cluster") or ""
    server = clusters.get(cluster_name, {}).get("server")
    if not server:
        raise LocalizeError(
            f"there is no cluster {cluster_name or '(none)'} with a server in the kubeconfig",
            "`kubectl config get-clusters` lists them",
        )
    return Connection(
        kubectl=kubectl,
        kubectl_words=tuple(kubectl_words),
        kubeconfig=tuple(kubeconfig),
        context=name,
        namespace=contexts[name].get("namespace") or "default",
        server=server,
        identity=cluster_identity(clusters[cluster_name]),
        proxy=clusters[cluster_name].get("proxy-url") or "",
        directory=directory,
        plugin_mode=_plugin_mode(_by_name(view, "users", "user").get(user or contexts[name].get("user") or "", {})),
        cluster=cluster,
        user=user,
        impersonate=impersonate,
        impersonate_groups=tuple(impersonate_groups),
    )


def _plugin_mode(user: Mapping[str, Any]) -> str:
    """A user's `interactiveMode`; versions of the API before v1 have a default."""
    plugin = user.get("exec")
    return _text(plugin.get("interactiveMode")) or "IfAvailable" if isinstance(plugin, Mapping) else ""


def cluster_identity(cluster: Mapping[str, Any]) -> str:
    """A cluster's identity: a hash of its CA; its host if it has no CA. The server's port does not count.

    Args:
        cluster: its entry in a kubeconfig; a file that it names is read.
    """
    authority = b""
    data, file = _text(cluster.get("certificate-authority-data")), _text(cluster.get("certificate-authority"))
    with contextlib.suppress(OSError, ValueError):  # kubectl will say what is wrong with it
        if data:
            authority = base64.b64decode(data) if data != REDACTED else b""
        elif file:
            authority = read_regular(file)
    if authority.strip():
        return f"ca:{hashlib.sha256(authority.strip()).hexdigest()}"
    try:
        host = urlsplit(_text(cluster.get("server"))).hostname
    except ValueError:
        host = None
    return f"host:{host or ''}"


def no_context(name: str, contexts: Sequence[str]) -> LocalizeError:
    """The error that says that the kubeconfig has no context of this name, but others."""
    import difflib

    near = difflib.get_close_matches(name, contexts, 1)
    hint = f"did you mean {near[0]}?" if near else "`kubectl config get-contexts` lists them"
    return LocalizeError(f"there is no context {name} in the kubeconfig", hint)


def _by_name(view: Mapping[str, Any], plural: str, singular: str) -> dict[str, Mapping[str, Any]]:
    return {entry["name"]: entry.get(singular) or {} for entry in view.get(plural) or ()}


def read_view(files: Sequence[str]) -> dict[str, Any]:
    """What `kubectl config view -o json` says of contexts and clusters; of users only whose plugin asks in a terminal.

    A file that is missing or cannot be read counts as empty.
    """
    return merge(_load(file) for file in files)


def merge(documents: Iterable[Any]) -> dict[str, Any]:
    """The documents of several files as one; what has not the shape of a kubeconfig is left out."""
    current = ""
    merged: dict[str, dict[str, dict[str, Any]]] = {plural: {} for plural in _LISTS}
    for document in documents:
        if not isinstance(document, dict):
            continue
        current = current or _text(document.get("current-context"))
        for plural in _LISTS:
            for name, content in _entries(document.get(plural), plural.removesuffix("s")):
                merged[plural].setdefault(name, content)
    view: dict[str, Any] = {"current-context": current}
    for plural, entries in merged.items():
        singular = plural.removesuffix("s")
        view[plural] = [{"name": name, singular: content} for name, content in entries.items()]
    return view


def _entries(entries: Any, singular: str) -> Iterable[tuple[str, dict[str, Any]]]:
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and _text(entry.get("name")):
            content = entry.get(singular)
            if not isinstance(content, dict):
                content = {}
            elif singular == "user":
                content = without_credentials(content)
            else:
                content = {key: value for key, value in content.items() if key not in _TEXTS or _text(value)}
            yield entry["name"], content


def without_credentials(user: Mapping[str, Any]) -> dict[str, Any]:
    """All of a kubeconfig's user that is our business: whether its credential plugin asks in a terminal."""
    mode = _plugin_mode(user)
    return {"exec": {"interactiveMode": mode}} if mode else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _load(file: str) -> Any:
    try:
        return _with_absolute_paths(parse(read_regular(file)), Path(file).parent)
    except OSError:
        return None


def parse(text: bytes) -> Any:
    """A kubeconfig's text as a document of any shape; None if it is no YAML."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, if PyYAML was built with it
    try:
        return yaml.load(text, Loader=loader)
    except (ValueError, RecursionError, yaml.YAMLError):
        return None
    except (LookupError, TypeError, AttributeError):  # PyYAML, of a tag whose value does not fit: `!!int ""`
        return None


def read_regular(file: str) -> bytes:
    """A file's content. Raises OSError: it is no regular file (a pipe would be waited for), or cannot be read."""
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise OSError(f"{file} is no regular file")
    return Path(file).read_bytes()


def _with_absolute_paths(document: Any, directory: Path) -> Any:
    """The same document with absolute paths: a CA's file may be given relative to its kubeconfig."""
    clusters = document.get("clusters") if isinstance(document, dict) else None
    for entry in clusters if isinstance(clusters, list) else ():
        cluster = entry.get("cluster") if isinstance(entry, dict) else None
        if isinstance(cluster, dict) and _text(cluster.get("certificate-authority")):
            cluster["certificate-authority"] = str(directory / cluster["certificate-authority"])
    return document
