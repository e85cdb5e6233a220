"""The session ledger: a file with the exposures that this machine has begun and not ended, read after a crash."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.host.files import make_room, move_aside, read_json
from kubectl_localize.host.paths import locked, write_durable

log = logging.getLogger(__name__)

LOCK_SECONDS = 5.0

_DAMAGED = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Record:
    """What the ledger says of one session.

    Args:
        namespace: where its journals are.
        journals: their fingerprints; none if an older version has written the record.
    """

    namespace: str
    journals: tuple[str, ...] = ()


Records = dict[str, Record]  # by session


class SessionLedger:
    """A file with the sessions of one context, their namespaces, and what their journals say.

    An entry is on the disk before the cluster hears of its session, so that it is found even after a power failure.
    Several processes may share the file: each change is made under a lock. Changes run in a thread, since an fsync
    takes long on a busy disk, one after the other in the order of the calls, also if a caller is cancelled meanwhile.

    Args:
        path: the file, JSON; away while there are no sessions.
        lock: the file that is locked during a change; it stays.
        lock_seconds: how long to wait for another process that holds the lock.
    """

    def __init__(self, path: Path, lock: Path, lock_seconds: float = LOCK_SECONDS) -> None:
        self._path = path
        self._lock = lock
        self._lock_seconds = lock_seconds
        self._turn = asyncio.Lock()
        self._changes: set[asyncio.Task[None]] = set()

    def records(self) -> Records:
        """Return what is known of each session; nothing if there is no readable file."""
        try:
            return self._read()
        except (OSError, *_DAMAGED):
            return {}

    def sessions(self) -> dict[str, str]:
        """Return the namespace of each session; none if there is no readable file."""
        return {session: record.namespace for session, record in self.records().items()}

    async def add(self, session: str, namespace: str, journals: Sequence[str] = ()) -> None:
        """Write down a session that is about to begin.

        Args:
            journals: the fingerprints of those that it will write.

        Raises:
            OSError: the file cannot be written; the session must not begin.
            LocalizeError: another process holds the lock; the session must not begin.
        """
        record = Record(namespace, tuple(journals))
        await self._change(lambda records: {**records, session: record})

    async def remove(self, session: str) -> None:
        """Strike out a session that has ended and left nothing behind; nothing happens if it is not in the ledger.

        Raises:
            OSError: the file cannot be written.
            LocalizeError: another process holds the lock.
        """
        await self._change(lambda records: {name: record for name, record in records.items() if name != session})

    async def _change(self, update: Callable[[Records], Records]) -> None:
        change = asyncio.create_task(self._change_in_turn(update))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        await asyncio.shield(change)

    async def _change_in_turn(self, update: Callable[[Records], Records]) -> None:
        async with self._turn:
            try:
                await in_daemon_thread(lambda: self._rewrite(update), "session-ledger")
            except TimeoutError as error:
                raise LocalizeError(
                    f"the session ledger {self._path} is locked by another process",
                    f"`fuser {self._lock}` names it: continue or end it, then try again",
                ) from error

    def _read(self) -> Records:
        """Raises OSError or one of _DAMAGED."""
        document = read_json(self._path)
        journals = document.get("journals") or {}
        return {
            str(session): Record(str(namespace), tuple(str(line) for line in journals.get(session) or ()))
            for session, namespace in document["sessions"].items()
        }

    def _rewrite(self, update: Callable[[Records], Records]) -> None:
        with locked(self._lock, self._lock_seconds):
            make_room(self._path)
            try:
                before = self._read()
            except FileNotFoundError:
                before = {}
            except _DAMAGED:
                log.warning("%s is damaged; what it held is in %s", self._path, move_aside(self._path))
                before = {}
            after = update(before)
            if after and after != before:
                write_durable(self._path, json.dumps(_document(after)))
            elif not after:
                self._path.unlink(missing_ok=True)


def _document(records: Records) -> dict[str, object]:
    return {
        "sessions": {session: record.namespace for session, record in records.items()},
        "journals": {session: list(record.journals) for session, record in records.items() if record.journals},
    }
