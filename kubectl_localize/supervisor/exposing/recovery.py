"""Undoes, in a running supervisor, what crashed runs left in its context, and what it could not bring back itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import Entry, sessions
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.identity import Here
from kubectl_localize.supervisor.exposing import restoring
from kubectl_localize.supervisor.exposing.search import find_in
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.tunnel import remove_keys
from kubectl_localize.timing import Clock

log = logging.getLogger(__name__)

Say = Callable[[str], None]


class Recovery:
    """See the module. It touches only sessions that this machine has on record.

    Args:
        record, directory: what this machine has begun, and where its keys are.
        here, lives: this process, and whether another one lives.
        now: the wall clock, in UTC.
        live: the sessions that this supervisor has at work.
    """

    def __init__(
        self,
        api: Api,
        record: SessionLedger,
        directory: Path,
        *,
        here: Here,
        lives: restoring.Lives,
        clock: Clock,
        now: Callable[[], datetime],
        live: Callable[[], set[str]],
    ) -> None:
        self._api = api
        self._record = record
        self._directory = directory
        self._here = here
        self._lives = lives
        self._clock = clock
        self._now = now
        self._live = live
        self._turn = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None

    async def run(self, say: Say) -> set[str]:
        """Undo what is dead now; what may be dead after some silence is tried once more by itself then.

        Quick where this machine remembers nothing. One that is cancelled goes no further than it has to: what it has
        begun to undo it brings to its end.

        Returns: the Services, as `ns/name`, whose exposures were undone.
        Raises: LocalizeError where it cannot be undone now.
        """
        undone, wait_seconds = await self._pass(say)
        if wait_seconds and (self._later is None or self._later.done()):
            self._later = asyncio.create_task(self._once_more(wait_seconds))
        return undone

    async def close(self) -> None:
        """Undo nothing more; what is being undone is brought to its end."""
        if self._later is not None:
            self._later.cancel()
            await asyncio.wait((self._later,))

    async def _once_more(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        try:
            await self._pass(_log)
        except LocalizeError as error:
            log.warning("%s; %s", error.message, error.hint)

    async def _pass(self, say: Say) -> tuple[set[str], float]:
        """The Services of what was undone, and after how many seconds it is worth another pass; 0: not by itself."""
        async with self._turn:
            live = self._live()
            recorded = {session: place for session, place in self._record.sessions().items() if session not in live}
            if not recorded:
                return set(), 0.0
            found = await find_in(self._api, list(recorded.values()))
            entries = [entry for entry in found.entries if entry.session in recorded]
            judged = restoring.judge(entries, self._here, self._lives, self._now())
            for doubt in found.doubts(recorded):
                say(f"{doubt.message}; {doubt.hint}")
            for some in judged.early:
                say(restoring.early_in_words(some, self._now()))
            for session, namespace in recorded.items():
                if found.is_gone(session, namespace):
                    await self._forget(session)
            stuck = sessions([entry for entry in judged.others if self._is_mine(entry)])
            work = self._undo([*judged.dead, *stuck], found.unread, say)
            return await _to_its_end(work, say), max(
                (restoring.silence_left(some, self._now()) for some in judged.early), default=0.0
            )

    async def _undo(self, dead: Sequence[Sequence[Entry]], unread: frozenset[str], say: Say) -> set[str]:
        undone = await restoring.undo(self._api, dead, self._clock, say)
        for session in undone.sessions - unread:
            await self._forget(session)
        if undone.failures:
            raise undone.failures[0]
        return {service for some in dead for entry in some for service in entry.services}

    async def _forget(self, session: str) -> None:
        with contextlib.suppress(OSError, LocalizeError):  # the next pass finds nothing of it either
            await self._record.remove(session)
            remove_keys(self._directory, session)

    def _is_mine(self, entry: Entry) -> bool:
        """Whether a journal was written by this very process."""
        owner, here = entry.owner, self._here
        theirs = (owner.machine, owner.pid_namespace, owner.pid, owner.started)
        return theirs == (here.machine, here.pid_namespace, here.pid, here.started)


async def _to_its_end(work: Coroutine[Any, Any, set[str]], say: Say) -> set[str]:
    """Do work that may not be left halfway: who is cancelled meanwhile waits for it all the same."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        failure = task.exception()
        if isinstance(failure, LocalizeError):
            say(f"{failure.message}; {failure.hint}")
        elif failure is not None:
            log.exception("undoing", exc_info=failure)
        raise


def _log(text: str) -> None:
    log.info("%s", text)
