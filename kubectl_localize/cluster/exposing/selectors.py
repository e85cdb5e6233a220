"""How a Service's selector is switched to an exposure pod and back; pure decisions.

The switched selector has the Service's own keys, each with a value of this session. So `helm upgrade`, `kubectl apply`
and GitOps, which merge key by key, put it back as a whole: a key of ours besides theirs would leave a selector that
finds no pod at all. A key that a controller watches over keeps its value, as it would be put back alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubectl_localize.cluster.exposing.values import SESSION_CHARACTERS, SESSION_LENGTH, object_name

# Argo Rollouts puts this key back whenever it looks at the Service, and leaves the others alone
# (https://argo-rollouts.readthedocs.io/en/stable/features/bluegreen/).
CONTROLLED_KEYS = frozenset({"rollouts-pod-template-hash"})

Selector = Mapping[str, str]

_MARK = re.compile(f"{object_name('')}[{SESSION_CHARACTERS}]{{{SESSION_LENGTH}}}")


def mark(session: str) -> str:
    """The label value that only this session's pods carry."""
    return object_name(session)


def switched(selector: Selector, session: str) -> dict[str, str]:
    """The selector that finds this session's pods and no others. It is also the labels by which they are found."""
    marked = selector.keys() - CONTROLLED_KEYS or selector.keys()
    return {key: mark(session) if key in marked else value for key, value in selector.items()}


def put_back(current: Selector, original: Selector, session: str) -> dict[str, str]:
    """The selector as it is to be without this session.

    Keys that others have changed, added or removed meanwhile stay as they are now.
    """
    return {
        key: original[key] if value == mark(session) and key in original else value for key, value in current.items()
    }


def is_marked(current: Selector, session: str) -> bool:
    """Whether any part of a selector still is this session's."""
    return mark(session) in current.values()


def is_abandoned(selector: Selector) -> bool:
    """Whether a selector of which no journal speaks looks as if an exposure had switched it."""
    return any(_MARK.fullmatch(value) for value in selector.values())


def put_back_patches(original: Selector, session: str) -> list[list[dict[str, str]]]:
    """JSON patches (RFC 6902), one for each key: each puts it back if it still is this session's, and else fails.

    They are for the failsafe, which acts when no pod serves the Service any more, so it need not change all at once.
    """
    pointers = {key: f"/spec/selector/{key.replace('~', '~0').replace('/', '~1')}" for key in sorted(original)}
    return [
        [
            {"op": "test", "path": pointer, "value": mark(session)},
            {"op": "replace", "path": pointer, "value": original[key]},
        ]
        for key, pointer in pointers.items()
    ]


def words(selector: Selector) -> str:
    """A selector as kubectl writes it: `app=web,tier=front`."""
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
