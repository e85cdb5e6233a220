"""Finds the journals that crashed runs of this user left, and undoes exactly those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import LEASE_SECONDS, Entry
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.host.identity import Here
from kubectl_localize.supervisor.exposing.back import Back, Clock, journals, sessions


@dataclass(frozen=True)
class Judged:
    """Journals, by what may be done about them.

    Args:
        dead: sessions of this user on this machine whose process is gone.
        others: journals that are left alone.
    """

    dead: tuple[tuple[Entry, ...], ...]
    others: tuple[Entry, ...]


def judge(entries: Sequence[Entry], here: Here, lives: Callable[[int, float], bool], now: datetime) -> Judged:
    """Which journals are a dead session's of ours.

    Args:
        lives: whether the process with this number is the one that started then.
    """
    dead = [tuple(some) for some in sessions(entries) if is_dead(some[0], here, lives, now)]
    gone = {entry for some in dead for entry in some}
    return Judged(tuple(dead), tuple(entry for entry in entries if entry not in gone))


def is_dead(entry: Entry, here: Here, lives: Callable[[int, float], bool], now: datetime) -> bool:
    """Whether a journal's owner was a process of this user on this machine, and is gone.

    A pid of another pid namespace (a container's) says nothing here; then silence has to have lasted.
    """
    owner = entry.owner
    if (owner.machine, owner.uid) != (here.machine, here.uid):
        return False
    if owner.pid_namespace != here.pid_namespace:
        return (now - entry.renewed).total_seconds() > LEASE_SECONDS
    return not lives(owner.pid, owner.started)


async def find(api: Api, namespaces: Sequence[str]) -> tuple[list[Entry], bool]:
    """The journals of the whole cluster where these may be listed, else of some namespaces.

    Args:
        namespaces: where to look if not everywhere.

    Returns: the journals, and whether all namespaces were looked at.
    Raises: KubectlError.
    """
    try:
        return await journals(api, []), True
    except ForbiddenError:
        found: list[Entry] = []
        for namespace in dict.fromkeys(namespaces):
            try:
                found += await journals(api, [namespace])
            except ForbiddenError:
                continue
        return found, False


async def undo(
    api: Api, dead: Sequence[Sequence[Entry]], clock: Clock, say: Callable[[str], None]
) -> list[LocalizeError]:
    """Undo dead sessions, one after the other; a failure of one does not stop the next.

    Returns: what could not be undone.
    """
    failures = []
    for entries in dead:
        services = ", ".join(entries[0].services)
        say(f"undoing the exposure of {services} that began {entries[0].since:%Y-%m-%d %H:%M} UTC")
        try:
            await Back(api, entries, clock, say).run()
        except LocalizeError as error:
            failures.append(error)
    return failures
