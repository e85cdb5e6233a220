"""What names mean that people type for Services that run: the ones to stop; pure."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from kubectl_localize.cluster.selection import near, near_namespace
from kubectl_localize.errors import LocalizeError, NotFoundError, UsageError
from kubectl_localize.ls_document import LsDocument
from kubectl_localize.model import ServiceKey

LIST = "`kubectl localize ls` lists what runs"


def running_patterns(
    document: LsDocument, words: Sequence[str], namespaces: Sequence[str], context_namespace: str
) -> tuple[str, ...]:
    """The Services that run and are meant, as `ns/svc` or globs of it.

    A name without a namespace means `-n`, else the context's namespace, else the only namespace in which it runs.

    Args:
        document: what runs in the context.
        words: `svc`, `ns/svc` or globs of either; none: all of the namespaces.
        namespaces: the values of `-n`.
        context_namespace: the context's.

    Raises:
        NotFoundError: one of them matches nothing that runs.
        UsageError: a name runs in several namespaces.
    """
    keys = sorted({ServiceKey(item.namespace, item.name) for item in document.items})
    if not words:
        for namespace in namespaces:
            if not any(key.namespace == namespace for key in keys):
                raise _no_namespace(namespace, keys)
        return tuple(f"{namespace}/*" for namespace in namespaces)
    return tuple(pattern for word in words for pattern in _patterns(word, keys, namespaces, context_namespace))


def _patterns(word: str, keys: Sequence[ServiceKey], namespaces: Sequence[str], context_namespace: str) -> list[str]:
    if "/" in word:
        patterns = [word]
    elif namespaces:
        patterns = [f"{namespace}/{word}" for namespace in namespaces]
    else:
        patterns = [f"{context_namespace}/{word}"]
        elsewhere = sorted({key.namespace for key in keys if fnmatchcase(key.name, word)})
        if elsewhere and context_namespace not in elsewhere:
            if len(elsewhere) > 1 and not set("*?[") & set(word):
                choices = " or ".join(f"{namespace}/{word}" for namespace in elsewhere[:3])
                raise UsageError(f"{word} runs in {len(elsewhere)} namespaces", f"name one: {choices}")
            patterns = [f"{namespace}/{word}" for namespace in elsewhere]
    if not any(fnmatchcase(str(key), pattern) for key in keys for pattern in patterns):
        similar = near(word, keys, namespaces)
        hint = f"did you mean {similar}?" if similar else LIST
        raise NotFoundError(f"nothing that runs matches {word}", hint)
    return patterns


def _no_namespace(namespace: str, keys: Sequence[ServiceKey]) -> LocalizeError:
    similar = near_namespace(namespace, keys)
    hint = f"did you mean -n {similar}?" if similar else LIST
    return NotFoundError(f"nothing runs in namespace {namespace}", hint)
