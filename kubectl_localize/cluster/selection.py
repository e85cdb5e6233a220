"""Which of a cluster's Services are meant."""

from __future__ import annotations

from fnmatch import fnmatchcase

from kubectl_localize.model import Selection, Service

SYSTEM_NAMESPACE = "kube-system"


def watched_namespaces(selection: Selection, context_namespace: str) -> tuple[str, ...]:
    """The namespaces to list one by one; empty means the whole cluster at once."""
    if selection.all_namespaces:
        return ()
    if selection.namespaces:
        return tuple(dict.fromkeys(selection.namespaces))
    named = [pattern.rpartition("/")[0] or context_namespace for pattern in selection.patterns]
    if any(set("*?[") & set(namespace) for namespace in named):
        return ()
    return tuple(dict.fromkeys(named))


def _matches(pattern: str, service: Service, default_namespace: str) -> bool:
    namespace, slash, name = pattern.rpartition("/")
    if not slash:
        namespace = default_namespace
    return fnmatchcase(service.key.name, name) and fnmatchcase(service.key.namespace, namespace)


def selected(service: Service, selection: Selection, context_namespace: str) -> bool:
    """Whether a Service is selected; `-l` is left to the API server.

    Args:
        context_namespace: where a pattern without a namespace looks unless namespaces were given.
    """
    key = service.key
    if selection.namespaces and not selection.all_namespaces and key.namespace not in selection.namespaces:
        return False
    if any(fnmatchcase(key.namespace, pattern) for pattern in selection.skip_namespaces):
        return False
    wide = bool(selection.namespaces or selection.all_namespaces)
    if any(_matches(pattern, service, "*") for pattern in selection.exclude):
        return False
    if selection.patterns:
        return any(_matches(pattern, service, "*" if wide else context_namespace) for pattern in selection.patterns)
    return wide or key.namespace != SYSTEM_NAMESPACE
