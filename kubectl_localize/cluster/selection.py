"""Which of a cluster's Services are selected, and what to say if none is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from kubectl_localize.errors import LocalizeError, NotFoundError
from kubectl_localize.label_selector import Requirement, matches
from kubectl_localize.model import Selection, Service, ServiceKey

SYSTEM_NAMESPACE = "kube-system"
_GLOB = frozenset("*?[")


def watched_namespaces(selection: Selection, context_namespace: str) -> tuple[str, ...]:
    """The namespaces to list one by one; empty means the whole cluster at once."""
    if selection.all_namespaces:
        return ()
    if selection.namespaces:
        return tuple(dict.fromkeys(selection.namespaces))
    named = [pattern.rpartition("/")[0] or context_namespace for pattern in selection.patterns]
    if any(_GLOB & set(namespace) for namespace in named):
        return ()
    return tuple(dict.fromkeys(named))


def selected(
    service: Service, selection: Selection, context_namespace: str, requirements: Sequence[Requirement] = ()
) -> bool:
    """Whether a Service is selected.

    Args:
        context_namespace: where a pattern without a namespace looks unless namespaces were given.
        requirements: what the selection's label selector asks for.
    """
    return may_select(service.key, selection, context_namespace) and matches(requirements, dict(service.labels))


def may_select(key: ServiceKey, selection: Selection, context_namespace: str) -> bool:
    """Whether a Service of this name is selected, if it has the right labels; else as `selected`."""
    if selection.namespaces and not selection.all_namespaces and key.namespace not in selection.namespaces:
        return False
    if any(fnmatchcase(key.namespace, pattern) for pattern in selection.skip_namespaces):
        return False
    wide = bool(selection.namespaces or selection.all_namespaces)
    if any(_matches(pattern, key, "*") for pattern in selection.exclude):
        return False
    if selection.patterns:
        return any(_matches(pattern, key, "*" if wide else context_namespace) for pattern in selection.patterns)
    return wide or key.namespace != SYSTEM_NAMESPACE


def _matches(pattern: str, key: ServiceKey, default_namespace: str) -> bool:
    namespace, slash, name = pattern.rpartition("/")
    if not slash:
        namespace = default_namespace
    return fnmatchcase(key.name, name) and fnmatchcase(key.namespace, namespace)


@dataclass(frozen=True)
class Unmatched:
    """A name that was typed and matches nothing: a Service's, or the value of `flag`."""

    name: str
    flag: str = ""


def find_unmatched(selection: Selection, context_namespace: str, known: Collection[ServiceKey]) -> list[Unmatched]:
    """The names that match none of the Services that there are where a selection looks.

    An `--exclude` or `--skip-namespace` that is a glob may well match nothing yet.

    Args:
        context_namespace: as for `selected`.
        known: all Services of the namespaces that were listed.
    """
    namespaces = {key.namespace for key in known}
    widest = replace(selection, exclude=(), skip_namespaces=(), patterns=())
    everything = not watched_namespaces(selection, context_namespace)  # else the others have not been looked at
    unmatched = [
        Unmatched(pattern)
        for pattern in selection.patterns
        if not any(may_select(key, replace(widest, patterns=(pattern,)), context_namespace) for key in known)
    ]
    if not selection.patterns:
        unmatched += [Unmatched(name, "-n") for name in selection.namespaces if name not in namespaces]
    unmatched += [
        Unmatched(pattern, "--exclude")
        for pattern in selection.exclude
        if not _GLOB & set(pattern) and not any(_matches(pattern, key, "*") for key in known)
        if everything or "/" not in pattern
    ]
    return unmatched + [
        Unmatched(pattern, "--skip-namespace")
        for pattern in selection.skip_namespaces
        if everything and not _GLOB & set(pattern) and pattern not in namespaces
    ]


def said_unmatched(unmatched: Unmatched, selection: Selection, namespace: str, known: Collection[ServiceKey]) -> str:
    """What to say of a name that matches nothing, in a sentence.

    Args:
        selection: of which it is a part.
        namespace: the context's.
        known: the cluster's Services, among which it may have been meant for one.
    """
    name = unmatched.name
    if unmatched.flag == "-n":
        return f"there is no Service in namespace {name}"
    if unmatched.flag == "--skip-namespace":
        similar = near_namespace(name, known)
        guess = f"; did you mean {similar}?" if similar else ""
        return f"--skip-namespace {name} matches no namespace that has Services{guess}"
    similar = near(name, known, _searched(selection, namespace))
    guess = f"; did you mean {similar}?" if similar else ""
    if unmatched.flag:
        return f"{unmatched.flag} {name} matches no Service{guess}"
    return f"no Service matches {name}{_where(selection, [name], namespace)}{guess}"


def nothing_selected(
    selection: Selection, namespace: str, context: str, known: Collection[ServiceKey]
) -> LocalizeError:
    """The error for a selection that no Service matches.

    Args:
        namespace: the context's.
        context: the context's name.
        known: the cluster's Services, or those of the namespaces that may be listed.
    """
    where = ""
    if selection.patterns:
        where = _where(selection, selection.patterns, namespace)
        what = f"no Service matches {' '.join(selection.patterns)}{where}"
    elif selection.label_selector:
        what = f"no Service matches -l {selection.label_selector}"
    elif selection.namespaces:
        what = f"there is no Service in {', '.join(selection.namespaces)}"
    else:
        what = "there is no Service to forward"
    searched = _searched(selection, namespace)
    similar = next((name for pattern in selection.patterns if (name := near(pattern, known, searched))), "")
    return NotFoundError(
        f"{what} {'of' if where else 'in'} context {context}",
        f"did you mean {similar}?"
        if similar
        else "`kubectl get services -A` lists what there is; -n, -l, --exclude and SERVICE narrow it down",
    )


def _searched(selection: Selection, namespace: str) -> tuple[str, ...]:
    """The namespaces in which a name without one is looked for; none: all."""
    return () if selection.all_namespaces else selection.namespaces or (namespace,)


def _where(selection: Selection, patterns: Sequence[str], namespace: str) -> str:
    """` in namespace shop`, if the patterns themselves do not say where."""
    searched = _searched(selection, namespace)
    if not searched or all("/" in pattern for pattern in patterns):
        return ""
    return f" in namespace{'s' if len(searched) > 1 else ''} {', '.join(searched)}"


def near(pattern: str, known: Collection[ServiceKey], searched: Collection[str] = ()) -> str:
    """The Service that a pattern was probably meant for, as `web` or `shop/web`; empty if none is called like it.

    Namespace and name are compared each by itself: a long namespace would make unlike names alike. Of Services of that
    very name in other namespaces, three are told.

    Args:
        searched: the namespaces in which a name without one was looked for; none: all.
    """
    from difflib import get_close_matches

    namespace, slash, name = pattern.rpartition("/")
    if slash:
        namespaces = get_close_matches(namespace, sorted({key.namespace for key in known}), 1)
    else:
        namespaces = list(searched) or sorted({key.namespace for key in known})
    similar = get_close_matches(name, sorted({key.name for key in known if key.namespace in namespaces}), 1)
    if similar:
        return "/".join([*(namespaces if slash else ()), similar[0]])
    elsewhere = [str(key) for key in sorted(known) if key.name == name and (slash or searched)]
    if not elsewhere and searched:
        similar = get_close_matches(name, sorted({key.name for key in known}), 1)
        elsewhere = [str(key) for key in sorted(known) if key.name in similar]
    return " or ".join(elsewhere[:3])


def near_namespace(name: str, known: Collection[ServiceKey]) -> str:
    """The namespace that a name was probably meant for; empty if none is called like it."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, sorted({key.namespace for key in known}), 1)), "")
