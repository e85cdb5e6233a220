"""Judges which journals crashed runs of this user left, and undoes exactly those."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing import journal
from kubectl_localize.cluster.exposing.journal import LEASE_SECONDS, Entry, sessions
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.identity import Here
from kubectl_localize.supervisor.exposing.rollback import Rollback
from kubectl_localize.timing import Clock

Lives = Callable[[int, float], bool]


@dataclass(frozen=True)
class Judged:
    """Journals, by what may be done about them.

    Args:
        dead: sessions of this user on this machine whose process is gone.
        early: those that are most likely so, and are when they stay silent (`silence_left`).
        others: journals that are left alone.
    """

    dead: tuple[tuple[Entry, ...], ...] = ()
    early: tuple[tuple[Entry, ...], ...] = ()
    others: tuple[Entry, ...] = ()


def judge(entries: Sequence[Entry], here: Here, lives: Lives, now: datetime) -> Judged:
    """Which journals are a dead session's of ours.

    Args:
        lives: whether the process with this number is the one that has this start mark.
    """
    dead, early = list[tuple[Entry, ...]](), list[tuple[Entry, ...]]()
    others = list[Entry]()
    for some in sessions(entries):
        left = dead_in(some, here, lives, now)
        if left is None:
            others += some
        else:
            (early if left else dead).append(tuple(some))
    return Judged(tuple(dead), tuple(early), tuple(others))


def dead_in(some: Sequence[Entry], here: Here, lives: Lives, now: datetime) -> float | None:
    """In how many seconds of silence the process of a session counts as gone; 0: it is gone; None: not by that.

    Only a process of this user on this machine is ever taken for gone. That it is not there proves it where its pid
    counts. Elsewhere it does not: in another container, after a restart of the machine, on another machine that is a
    copy of this one, or where the system does not tell these apart. Then silence has to have lasted.
    """
    owner = some[0].owner
    if (owner.machine, owner.uid) != (here.machine, here.uid):
        return None
    if owner.pid_namespace == here.pid_namespace:
        if lives(owner.pid, owner.started):
            return None
        if here.pid_namespace:
            return 0.0
    return silence_left(some, now)


def silence_left(some: Sequence[Entry], now: datetime) -> float:
    """For how many seconds more a session has to be silent until nobody can be at it any more."""
    return max(0.0, LEASE_SECONDS - (now - max(entry.renewed for entry in some)).total_seconds())


def early_in_words(some: Sequence[Entry], now: datetime) -> str:
    """What is to be said of a session that may not be undone yet."""
    return (
        f"not undone yet: {', '.join(some[0].services)}, exposed by {journal.describe(some[0], now)}, before a restart"
        f" of this machine or in a container; it may be in {silence_left(some, now):.0f} s, if it stays silent"
    )


@dataclass(frozen=True)
class Undone:
    """What became of dead sessions: which are gone now, and why others are not."""

    sessions: frozenset[str]
    failures: tuple[LocalizeError, ...]


async def undo(api: Api, dead: Sequence[Sequence[Entry]], clock: Clock, say: Callable[[str], None]) -> Undone:
    """Undo dead sessions, one after the other; a failure of one does not stop the next."""
    gone, failures = set(), list[LocalizeError]()
    for entries in dead:
        services = ", ".join(entries[0].services)
        say(f"undoing the exposure of {services} that began {entries[0].since:%Y-%m-%d %H:%M} UTC")
        try:
            await Rollback(api, entries, clock, say).run()
            gone.add(entries[0].session)
        except LocalizeError as error:
            failures.append(error)
    return Undone(frozenset(gone), tuple(failures))
