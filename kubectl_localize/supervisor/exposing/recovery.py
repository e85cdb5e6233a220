"""Undoes what crashed runs left in the cluster, and what this supervisor could not bring back itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import RENEW_SECONDS, journal_at
from kubectl_localize.errors import KubectlError, LocalizeError
from kubectl_localize.protocol import PlanReady, RestoreRequest
from kubectl_localize.supervisor.exposing import sessions
from kubectl_localize.supervisor.exposing.comeback import last_words, shortfall
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.exposing.remote_forward import remove_keys
from kubectl_localize.supervisor.exposing.rollback import Rollback
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.sessions import Judge, Judgement, Session, Survey
from kubectl_localize.supervisor.tasks import give_up
from kubectl_localize.timing import Clock

log = logging.getLogger(__name__)

SECOND_LOOK_SECONDS = RENEW_SECONDS + 5.0
YES_HINT = "`kubectl localize restore --yes` undoes it as well, if you know that it is yours"


@dataclass(frozen=True)
class Undone:
    """What came of undoing some sessions.

    Args:
        sessions: those that are gone now.
        services: theirs, as `ns/name`.
        failures: why others are not.
    """

    sessions: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    failures: tuple[LocalizeError, ...] = ()


class LiveSessions(Protocol):
    """Has sessions at work (`exposures.Exposures`)."""

    def live_sessions(self) -> set[str]: ...


class Recovery:
    """Undoes dead sessions, one pass after the other.

    Args:
        ledger: the sessions that this machine has begun.
        directory: where the sessions' keys are.
        judge: tells which sessions are dead.
        live: knows the sessions that this supervisor runs itself; they are never undone.
    """

    def __init__(
        self,
        api: Api,
        ledger: SessionLedger,
        directory: Path,
        *,
        judge: Judge,
        clock: Clock,
        live: LiveSessions,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._directory = directory
        self._judge = judge
        self._clock = clock
        self._live = live
        self._turn = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None

    async def run(self, progress: Progress) -> frozenset[str]:
        """Undo the dead sessions of the ledger, before anything new begins.

        If the ledger is empty, this makes no request. A session that counts as dead only after some silence is looked
        at again after that time. If the caller is cancelled, an undo that has begun is still finished.

        Returns:
            The Services, as `ns/name`, whose exposures were undone.

        Raises:
            LocalizeError: something could not be undone now; the rest was.
        """
        undone, wait_seconds = await self._pass(progress)
        if wait_seconds and (self._later is None or self._later.done()):
            self._later = asyncio.create_task(self._once_more(wait_seconds))
        if undone.failures:
            raise undone.failures[0]
        return undone.services

    async def restore(self, request: RestoreRequest, progress: Progress) -> bool:
        """Carry out `restore`: look everywhere, undo what is dead, and tell what is left alone and why.

        Failures go to `progress`. With `dry_run` nothing is changed, and what would be done is sent as PlanReady.

        Returns:
            Whether there was anything, undone or not.

        Raises:
            LocalizeError: the cluster cannot be asked, or the command is gone.
        """
        recorded = self._recorded()
        places = [*request.namespaces, *recorded.values(), request.connection.namespace]
        survey = await sessions.survey_cluster(self._api, places)
        judgement = self._judge.judge(survey.entries, recorded, self._journals())
        doubts = [*survey.doubts(recorded), *survey.unseen(request.namespaces, but=recorded.values())]
        self._tell_left_alone(judgement, survey, recorded, progress)
        for doubt in doubts:
            progress.fail(doubt)
        if request.dry_run:
            self._tell_plan(judgement, progress)
            return bool(survey.entries or doubts)
        confirmed = [
            session
            for session in judgement.unrecorded
            if request.assume_yes or await self._confirmed(session, progress)
        ]
        async with self._turn:  # only now: the user may have taken their time to answer
            work = self._undo_and_forget([*judgement.dead, *confirmed], survey, recorded, progress)
            undone = await _to_its_end(work, progress)
        for failure in undone.failures:
            progress.fail(failure)
        return bool(survey.entries or doubts)

    async def close(self) -> None:
        """Undo nothing more; what is being undone is brought to its end."""
        if self._later is not None:
            await give_up(self._later, "another look at silent sessions")

    async def _once_more(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        progress = Progress()
        try:
            undone, _ = await self._pass(progress)
        except LocalizeError as error:
            progress.fail(error)
        else:
            for failure in undone.failures:
                progress.fail(failure)

    async def _pass(self, progress: Progress) -> tuple[Undone, float]:
        """Undo what the ledger has. Returns also after how many seconds another pass is worth while; 0: never."""
        async with self._turn:
            recorded = self._recorded()
            if not recorded:
                return Undone(), 0.0
            survey = await sessions.survey_namespaces(self._api, list(recorded.values()))
            entries = [entry for entry in survey.entries if recorded.get(entry.session) == entry.namespace]
            judgement = self._judge.judge(entries, recorded, self._journals())
            for doubt in survey.doubts(recorded):
                progress.step(f"{doubt.message}; {doubt.hint}")
            for session in judgement.early:
                progress.step(sessions.describe_early(session, self._judge.now()))
            undone = await _to_its_end(self._undo_and_forget(judgement.dead, survey, recorded, progress), progress)
            waits = (sessions.silence_left(session, self._judge.now()) for session in judgement.early)
            return undone, max(waits, default=0.0)

    # -- what is dead -------------------------------------------------------------------------------------------------
    def _recorded(self) -> dict[str, str]:
        """The sessions of the ledger, with their namespaces, but those that are at work here."""
        live = self._live.live_sessions()
        return {session: place for session, place in self._ledger.sessions().items() if session not in live}

    def _journals(self) -> dict[str, tuple[str, ...]]:
        """What the journals of the ledger's sessions say, as far as it has that."""
        return {session: record.journals for session, record in self._ledger.records().items()}

    # -- what is told -------------------------------------------------------------------------------------------------
    def _tell_left_alone(
        self, judgement: Judgement, survey: Survey, recorded: dict[str, str], progress: Progress
    ) -> None:
        now = self._judge.now()
        for session in judgement.others:
            progress.step(f"left alone: {sessions.name(session, now)}")
        for session in judgement.early:
            early = sessions.describe_early(session, now)
            if session[0].session in recorded:
                progress.fail(LocalizeError(early, "run `kubectl localize restore` again then"))
            else:
                progress.step(early)
        if survey.namespaces is not None:
            progress.step("you may not list Leases in all namespaces; -n names more of them")

    def _tell_plan(self, judgement: Judgement, progress: Progress) -> None:
        for session in judgement.unrecorded:
            progress.step(f"left alone without --yes: {sessions.describe_unrecorded(session, self._judge.now())}")
        lines = [line for session in judgement.dead for line in sessions.describe_undo(session)]
        progress.send(PlanReady(tuple(lines)))

    async def _confirmed(self, session: Session, progress: Progress) -> bool:
        text = sessions.describe_unrecorded(session, self._judge.now())
        if await progress.confirm(f"{text}. Undo it?"):
            return True
        progress.step(f"left alone: {sessions.name(session, self._judge.now())}: no record of it here; {YES_HINT}")
        return False

    # -- undoing ------------------------------------------------------------------------------------------------------
    async def _undo_and_forget(
        self, dead: Sequence[Session], survey: Survey, recorded: dict[str, str], progress: Progress
    ) -> Undone:
        undone = await self._undo(dead, progress)
        gone = {session for session, namespace in recorded.items() if survey.is_gone(session, namespace)}
        for session in gone | (undone.sessions - survey.unread):
            await self._forget(session)
        return undone

    async def _undo(self, dead: Sequence[Session], progress: Progress) -> Undone:
        """Undo sessions, one after the other; a failure of one does not stop the next."""
        gone, services, failures = set[str](), set[str](), list[LocalizeError]()
        for session in dead:
            first = session[0]
            if self._judge.may_just_have_woken(session) and await self._has_spoken(session, progress):
                progress.step(f"left alone, as it lives: {sessions.name(session, self._judge.now())}")
                continue
            progress.step(
                f"undoing the exposure of {', '.join(first.services)} that began {first.since:%Y-%m-%d %H:%M} UTC"
            )
            try:
                comebacks = await Rollback(self._api, session, self._clock, progress).run()
            except LocalizeError as error:
                failures.append(error)
            else:
                for line in last_words(comebacks):
                    progress.back(line)
                if (missing := shortfall(comebacks)) is not None:
                    failures.append(missing)
                gone.add(first.session)
                services |= {service for entry in session for service in entry.services}
        return Undone(frozenset(gone), frozenset(services), tuple(failures))

    async def _has_spoken(self, session: Session, progress: Progress) -> bool:
        """Wait for as long as a living session takes to renew its journals; whether it has done so."""
        progress.doing(f"waiting {SECOND_LOOK_SECONDS:.0f} s for a sign of life of {', '.join(session[0].services)}")
        await self._clock.sleep(SECOND_LOOK_SECONDS)
        for entry in session:
            with contextlib.suppress(KubectlError):  # then the rollback says why
                current = await journal_at(self._api, entry.path)
                if current is not None and current.session == entry.session and current.renewed != entry.renewed:
                    return True
        return False

    async def _forget(self, session: str) -> None:
        with contextlib.suppress(OSError, LocalizeError):  # the next pass finds nothing of it either
            await self._ledger.remove(session)
            remove_keys(self._directory, session)


async def _to_its_end(work: Coroutine[Any, Any, Undone], progress: Progress) -> Undone:
    """Run work that must not stop halfway: even if the caller is cancelled, wait for its end."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        if (error := task.exception()) is not None:
            log.exception("undoing", exc_info=error)
        else:
            for failure in task.result().failures:
                progress.fail(failure)
        raise
