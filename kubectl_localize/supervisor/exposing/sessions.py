"""Finds the sessions that have journals in the cluster, and judges which of them are dead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing import journal
from kubectl_localize.cluster.exposing.claims import TAKE_OVER_SECONDS, silent_seconds
from kubectl_localize.cluster.exposing.journal import LEASE_SECONDS, Entry, candidates, parse_all
from kubectl_localize.cluster.exposing.selectors import words
from kubectl_localize.cluster.exposing.values import MANAGED_BY, MANAGED_BY_LABEL, SESSION_LABEL
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.host.identity import Here

Json = dict[str, Any]
Lives = Callable[[int, float], bool]  # by process id and start mark
Session = tuple[Entry, ...]  # the journals of one session, at least one


# -- where journals are looked for ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Survey:
    """The journals that a search has seen.

    Args:
        entries: the journals that can be read.
        unread: the sessions of Leases that this version cannot read.
        namespaces: where it could look; None: everywhere.
    """

    entries: tuple[Entry, ...]
    unread: frozenset[str]
    namespaces: frozenset[str] | None

    def is_gone(self, session: str, namespace: str) -> bool:
        """Whether it is certain that nothing of a session is left in the cluster."""
        readable = {entry.session for entry in self.entries}
        return self._looked_in(namespace) and session not in self.unread | readable

    def doubts(self, recorded: Mapping[str, str]) -> list[LocalizeError]:
        """Say which recorded sessions may still exist although no readable journal of them was seen.

        Args:
            recorded: the sessions in this machine's ledger, with their namespaces.
        """
        doubts = []
        for session, namespace in sorted(recorded.items()):
            by_hand = f"`kubectl get leases -n {namespace} -l {SESSION_LABEL}={session} -o yaml` says how to undo it"
            what = f"the exposure {session} in namespace {namespace} may still be there"
            if not self._looked_in(namespace):
                doubts.append(
                    LocalizeError(f"{what}: you may not list Leases there", f"ask somebody with that right: {by_hand}")
                )
            elif session in self.unread:
                doubts.append(LocalizeError(f"{what}: this version cannot read its journal", by_hand))
        return doubts

    def unseen(self, asked: Sequence[str], but: Collection[str]) -> list[LocalizeError]:
        """Say where the user wanted to be looked, and could not; if nothing at all could be looked at, say that.

        Args:
            asked: the namespaces that the user has named.
            but: of which it has been said already.
        """
        missed = [namespace for namespace in asked if not self._looked_in(namespace) and namespace not in but]
        if not missed and (self.namespaces is None or self.namespaces or but):
            return []
        where = f"namespace {', '.join(missed)}" if missed else "any namespace that could be looked at"
        flags = f" -n {missed[0]}" if missed else ""
        by_hand = f"`kubectl get leases{flags} -l {MANAGED_BY_LABEL}={MANAGED_BY}`"
        return [
            LocalizeError(
                f"you may not list Leases in {where}, so it is not known what is left there",
                f"-n names a namespace in which you may; ask somebody with that right: {by_hand}",
            )
        ]

    def _looked_in(self, namespace: str) -> bool:
        return self.namespaces is None or namespace in self.namespaces


async def survey_cluster(api: Api, namespaces: Sequence[str]) -> Survey:
    """Look for journals in the whole cluster; if not all Leases may be listed, in some namespaces.

    Raises:
        KubectlError: the API server does not answer.
    """
    try:
        return _survey(await candidates(api, [""]), None)
    except ForbiddenError:
        return await survey_namespaces(api, namespaces)


async def survey_namespaces(api: Api, namespaces: Sequence[str]) -> Survey:
    """Look for journals in those of some namespaces whose Leases may be listed.

    Raises:
        KubectlError: the API server does not answer.
    """
    leases: list[Json] = []
    allowed = set()
    for namespace in dict.fromkeys(namespaces):
        try:
            leases += await candidates(api, [namespace])
        except ForbiddenError:
            continue
        allowed.add(namespace)
    return _survey(leases, frozenset(allowed))


def _survey(leases: Sequence[Json], namespaces: frozenset[str] | None) -> Survey:
    unread = (lease["metadata"].get("labels") or {} for lease in leases if not parse_all([lease]))
    return Survey(tuple(parse_all(leases)), frozenset(labels.get(SESSION_LABEL, "") for labels in unread), namespaces)


# -- which of them are dead -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Judgement:
    """Sessions, by what may be done about them.

    Args:
        dead: in this machine's ledger, and their process is gone: they are undone.
        unrecorded: say that they are this user's on this machine, and are dead if so, but the ledger does not have
            them. Everybody who may write Leases can make such a journal, and undoing it would scale and delete with
            this user's rights; so the user decides.
        early: most likely dead; they are when they stay silent (`silence_left`).
        others: left alone.
    """

    dead: tuple[Session, ...] = ()
    unrecorded: tuple[Session, ...] = ()
    early: tuple[Session, ...] = ()
    others: tuple[Session, ...] = ()


@dataclass(frozen=True)
class Judge:
    """Tells sessions of this user on this machine from others, and dead ones from those that live.

    Args:
        here: this user and process.
        lives: whether the process with this id is still the one that has this start mark.
        now: the wall clock, in UTC.
    """

    here: Here
    lives: Lives
    now: Callable[[], datetime]

    def judge(
        self,
        entries: Sequence[Entry],
        recorded: Mapping[str, str],
        journals: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> Judgement:
        """Decide what may be done about the sessions that have journals.

        Args:
            recorded: the sessions in this machine's ledger that are not at work, with their namespaces.
            journals: the fingerprints of these sessions' journals, as far as the ledger has them. Any other journal
                with the name of a recorded session is somebody else's.
        """
        dead, unrecorded, early, others = list[Session](), list[Session](), list[Session](), list[Session]()
        forged = [entry for entry in entries if _is_forged(entry, journals.get(entry.session, ()))]
        known = [entry for entry in entries if entry not in forged]
        for session in map(tuple, [*journal.sessions(known), *journal.sessions(forged)]):
            is_recorded = recorded.get(session[0].session) == session[0].namespace and session[0] not in forged
            seconds = self.seconds_until_dead(session)
            if is_recorded and self._is_mine(session[0]):  # this very process could not bring it back
                dead.append(session)
            elif seconds is None:
                others.append(session)
            elif seconds:
                early.append(session)
            else:
                (dead if is_recorded else unrecorded).append(session)
        return Judgement(tuple(dead), tuple(unrecorded), tuple(early), tuple(others))

    def seconds_until_dead(self, session: Sequence[Entry]) -> float | None:
        """Work out when the process of a session counts as gone.

        Only a process of this user on this machine ever counts as gone. If its process id means something here, its
        absence proves that. It means nothing in another container, after a restart of the machine, on another machine
        that is a copy of this one, and on systems that cannot tell these apart. Then silence has to have lasted.

        Returns:
            Seconds of further silence; 0: it is gone; None: silence proves nothing.
        """
        owner = session[0].owner
        if not self.is_of_here(session[0]):
            return None
        if owner.pid_namespace == self.here.pid_namespace:
            if self.lives(owner.pid, owner.started):
                return None
            if self.here.pid_namespace:
                return 0.0
        return silence_left(session, self.now())

    def may_just_have_woken(self, session: Sequence[Entry]) -> bool:
        """Whether its process may live in another container of this machine.

        The wall clock then proves no silence by itself: after a sleep of the machine, or if the clock is set, everybody
        there has been silent for long until they renew their journals.
        """
        theirs, ours = session[0].owner.pid_namespace, self.here.pid_namespace
        boot = ours.partition(" ")[0]
        return theirs != ours and bool(boot) and theirs.partition(" ")[0] == boot

    def advice(self, held: Sequence[Entry]) -> str:
        """Say in one sentence what to do about a session that holds what somebody here wants.

        Args:
            held: its journals, at least one.
        """
        owner = held[0].owner
        if not self.is_of_here(held[0]):
            if silent_seconds(held, self.now()) >= TAKE_OVER_SECONDS:
                return f"ask {owner.login}; if that machine is gone, --take-over ends its exposure first"
            return f"ask {owner.login}; `kubectl localize ls --cluster` tells when --take-over may end it"
        seconds = self.seconds_until_dead(held)
        if seconds is not None:
            when = f" in {seconds:.0f} s, if it stays silent" if seconds else ""
            return f"`kubectl localize restore` undoes it{when}"
        return f"`kubectl localize expose --stop {held[0].services[0]}` ends it"

    def is_of_here(self, entry: Entry) -> bool:
        """Whether this user on this machine has written a journal."""
        return (entry.owner.machine, entry.owner.uid) == (self.here.machine, self.here.uid)

    def _is_mine(self, entry: Entry) -> bool:
        """Whether this very process has written a journal."""
        owner, here = entry.owner, self.here
        author = (owner.machine, owner.pid_namespace, owner.pid, owner.started)
        return author == (here.machine, here.pid_namespace, here.pid, here.started)


def _is_forged(entry: Entry, recorded: Collection[str]) -> bool:
    """Whether a journal says something else than those that the ledger has of its session, if it has any."""
    return bool(recorded) and journal.fingerprint(entry) not in recorded


def silence_left(session: Sequence[Entry], now: datetime) -> float:
    """For how many seconds more a session has to be silent until nobody can be at it any more."""
    return max(0.0, LEASE_SECONDS - (now - max(entry.renewed for entry in session)).total_seconds())


# -- what is said of them ---------------------------------------------------------------------------------------------
def name(session: Sequence[Entry], now: datetime) -> str:
    """Name a session: `shop/cart, exposed by alice (alice@laptop), since …`."""
    return f"{', '.join(session[0].services)}, exposed by {journal.describe(session[0], now)}"


def describe_early(session: Sequence[Entry], now: datetime) -> str:
    """Say why a session is not undone yet."""
    return (
        f"not undone yet: {name(session, now)}, from before a restart of this machine or from a container;"
        f" if it stays silent, it can be undone in {silence_left(session, now):.0f} s"
    )


def describe_unrecorded(session: Sequence[Entry], now: datetime) -> str:
    """Say what undoing a session would do that this machine has no record of."""
    return (
        f"{name(session, now)}: this machine has no record of it. Undoing it deletes the pods of session"
        f" {session[0].session} in namespace {session[0].namespace} and {_bringing_back(session)}"
    )


def describe_undo(session: Sequence[Entry]) -> list[str]:
    """Say what undoing a session would do, a line for each workload."""
    services = ", ".join(session[0].services)
    return [f"would undo the exposure of {services}: {_back(entry)}" for entry in session]


def _back(entry: Entry) -> str:
    if entry.selector is not None:
        return f"{entry.workload} back to {words(dict(entry.selector))}"
    return f"{entry.workload} back to {entry.replicas}" if entry.replicas is not None else str(entry.workload)


def _bringing_back(session: Sequence[Entry]) -> str:
    scaled = [f"{entry.workload} to {entry.replicas}" for entry in session if entry.replicas is not None]
    switched = [f"{entry.workload} to {words(dict(entry.selector))}" for entry in session if entry.selector is not None]
    if switched:
        return f"switches {', '.join(switched)}"
    return f"scales {', '.join(scaled)}" if scaled else "scales nothing"
