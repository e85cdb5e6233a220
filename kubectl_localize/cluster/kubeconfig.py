"""Which cluster a kubeconfig means: a pure reading of `kubectl config view -o json`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection


def connection(
    view: Mapping[str, Any],
    *,
    kubectl: str,
    kubeconfig: Sequence[str],
    context: str = "",
    cluster: str = "",
    user: str = "",
    impersonate: str = "",
    impersonate_groups: Sequence[str] = (),
) -> Connection:
    """The connection that kubectl would make with these flags.

    Args:
        view: the document that `kubectl config view -o json` prints; secrets are redacted in it.
        kubectl, kubeconfig: as in `Connection`.
        context, cluster, user, impersonate, impersonate_groups: kubectl's flags, empty where not given.

    Raises: LocalizeError where there is no such context or cluster.
    """
    contexts = _by_name(view, "contexts", "context")
    name = context or view.get("current-context") or ""
    if not contexts:
        raise LocalizeError(
            f"no cluster is configured in {' or '.join(kubeconfig)}",
            "set KUBECONFIG or --kubeconfig; `kubectl config get-contexts` has to list one",
        )
    if not name:
        raise LocalizeError(
            "no context is chosen", "`kubectl config use-context NAME` chooses one, or name it with --context"
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
        kubeconfig=tuple(kubeconfig),
        context=name,
        namespace=contexts[name].get("namespace") or "default",
        server=server,
        proxy=clusters[cluster_name].get("proxy-url") or "",
        cluster=cluster,
        user=user,
        impersonate=impersonate,
        impersonate_groups=tuple(impersonate_groups),
    )


def no_context(name: str, there: Sequence[str]) -> LocalizeError:
    """The error that says that the kubeconfig has no context of this name, but others."""
    near = difflib.get_close_matches(name, there, 1)
    hint = f"did you mean {near[0]}?" if near else "`kubectl config get-contexts` lists them"
    return LocalizeError(f"there is no context {name} in the kubeconfig", hint)


def _by_name(view: Mapping[str, Any], plural: str, singular: str) -> dict[str, Mapping[str, Any]]:
    return {entry["name"]: entry.get(singular) or {} for entry in view.get(plural) or ()}
