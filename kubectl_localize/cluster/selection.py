"""Which of a cluster's Services are selected, and what to say if none is."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Selection, Service, ServiceKey

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


def describe(selection: Selection) -> str:
    """The command that asks for a selection: `kubectl localize -n shop web`."""
    words = [word for namespace in selection.namespaces for word in ("-n", namespace)]
    words += ["-A"] if selection.all_namespaces else []
    words += ["-l", selection.label_selector] if selection.label_selector else []
    words += [f"--skip-namespace={namespace}" for namespace in selection.skip_namespaces]
    words += [f"--exclude={pattern}" for pattern in selection.exclude]
    return shlex.join(["kubectl", "localize", *words, *selection.patterns])


def nothing_selected(selection: Selection, context: str, known: Collection[ServiceKey]) -> LocalizeError:
    """The error for a selection that no Service matches.

    Args:
        context: the context's name.
        known: the Services of the namespaces that were listed.
    """
    if selection.patterns:
        what = "no Service matches " + " ".join(selection.patterns)
    elif selection.label_selector:
        what = f"no Service matches -l {selection.label_selector}"
    elif selection.namespaces:
        what = f"there is no Service in {', '.join(selection.namespaces)}"
    else:
        what = "there is no Service to forward"
    similar = _first_near(selection.patterns, known)
    return LocalizeError(
        f"{what} in context {context}",
        f"did you mean {similar}?"
        if similar
        else "`kubectl get services -A` lists what there is; -n, -l, --exclude and SERVICE narrow it down",
    )


def _first_near(patterns: Sequence[str], known: Collection[ServiceKey]) -> str:
    return next((similar for pattern in patterns if (similar := near(pattern, known))), "")


def near(pattern: str, known: Collection[ServiceKey]) -> str:
    """The Service that a pattern was probably meant for, as `web` or `shop/web`; empty if none is called like it.

    Namespace and name are compared each by itself: a long namespace would make unlike names alike.
    """
    from difflib import get_close_matches

    namespace, slash, name = pattern.rpartition("/")
    namespaces = get_close_matches(namespace, {key.namespace for key in known}, 1) if slash else []
    names = {key.name for key in known if not slash or key.namespace in namespaces}
    similar = get_close_matches(name, sorted(names), 1)
    return "/".join([*namespaces, similar[0]]) if similar else ""
