"""Looks for journals, and knows where it could not look: only what was looked for there and not seen is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import Entry, candidates, parse_all
from kubectl_localize.cluster.exposing.values import SESSION_LABEL
from kubectl_localize.errors import ForbiddenError, LocalizeError

Json = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """What there is of journals.

    Args:
        entries: the journals that can be read.
        unread: the sessions of Leases that this version cannot read.
        namespaces: where somebody looked; None: everywhere.
    """

    entries: tuple[Entry, ...]
    unread: frozenset[str]
    namespaces: frozenset[str] | None

    def is_gone(self, session: str, namespace: str) -> bool:
        """Whether nothing of a session is there any more, for certain."""
        return self._looked_in(namespace) and session not in self.unread | self._readable

    def doubts(self, recorded: Mapping[str, str]) -> list[LocalizeError]:
        """What cannot be said of sessions (by their namespaces) which this machine has begun."""
        doubts = []
        for session, namespace in sorted(recorded.items()):
            by_hand = f"`kubectl get leases -n {namespace} -l {SESSION_LABEL}={session} -o yaml` says how to undo it"
            what = f"the exposure {session} in namespace {namespace} may still be there"
            if not self._looked_in(namespace):
                doubts.append(LocalizeError(f"{what}: you may not list Leases there", f"somebody who may: {by_hand}"))
            elif session in self.unread:
                doubts.append(LocalizeError(f"{what}: this version cannot read its journal", by_hand))
        return doubts

    @property
    def _readable(self) -> set[str]:
        return {entry.session for entry in self.entries}

    def _looked_in(self, namespace: str) -> bool:
        return self.namespaces is None or namespace in self.namespaces


async def find(api: Api, namespaces: Sequence[str]) -> Found:
    """The journals of the whole cluster where these may be listed, else as `find_in` of some namespaces.

    Raises: KubectlError.
    """
    try:
        return _found(await candidates(api, [""]), None)
    except ForbiddenError:
        return await find_in(api, namespaces)


async def find_in(api: Api, namespaces: Sequence[str]) -> Found:
    """The journals of those of some namespaces where they may be listed; raises as `find`."""
    there: list[Json] = []
    looked = set()
    for namespace in dict.fromkeys(namespaces):
        try:
            there += await candidates(api, [namespace])
        except ForbiddenError:
            continue
        looked.add(namespace)
    return _found(there, frozenset(looked))


def _found(there: Sequence[Json], namespaces: frozenset[str] | None) -> Found:
    unread = (lease["metadata"].get("labels") or {} for lease in there if not parse_all([lease]))
    return Found(tuple(parse_all(there)), frozenset(labels.get(SESSION_LABEL, "") for labels in unread), namespaces)
