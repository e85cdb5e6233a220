"""The session ledger: a file with the exposures that this machine has begun and not ended, read after a crash."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.host.files import make_room, move_aside, read_json
from kubectl_localize.host.paths import locked, write_durable

log = logging.getLogger(__name__)

LOCK_SECONDS = 5.0

_DAMAGED = (ValueError, KeyError, TypeError, AttributeError)

Sessions = dict[str, str]  # session to namespace


class SessionLedger:
    """A file with the sessions of one context and their namespaces.

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

    def sessions(self) -> Sessions:
        """Return the namespace of each session; none if there is no readable file."""
        try:
            return self._read()
        except (OSError, *_DAMAGED):
            return {}

    async def add(self, session: str, namespace: str) -> None:
        """Write down a session that is about to begin.

        Raises:
            OSError: the file cannot be written; the session must not begin.
            LocalizeError: another process holds the lock; the session must not begin.
        """
        await self._change(lambda sessions: {**sessions, session: namespace})

    async def remove(self, session: str) -> None:
        """Strike out a session that has ended and left nothing behind; nothing happens if it is not in the ledger.

        Raises:
            OSError: the file cannot be written.
            LocalizeError: another process holds the lock.
        """
        await self._change(lambda sessions: {name: place for name, place in sessions.items() if name != session})

    async def _change(self, update: Callable[[Sessions], Sessions]) -> None:
        change = asyncio.create_task(self._change_in_turn(update))
        self._changes.add(change)
        change.add_done_callback(self._changes.discard)
        await asyncio.shield(change)

    async def _change_in_turn(self, update: Callable[[Sessions], Sessions]) -> None:
        async with self._turn:
            try:
                await in_daemon_thread(lambda: self._rewrite(update), "session-ledger")
            except TimeoutError as error:
                raise LocalizeError(
                    f"the session ledger {self._path} is locked by another process",
                    f"`fuser {self._lock}` names it: continue or end it, then try again",
                ) from error

    def _read(self) -> Sessions:
        """Raises OSError or one of _DAMAGED."""
        sessions = read_json(self._path)["sessions"]
        return {str(session): str(namespace) for session, namespace in sessions.items()}

    def _rewrite(self, update: Callable[[Sessions], Sessions]) -> None:
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
                write_durable(self._path, json.dumps({"sessions": after}))
            elif not after:
                self._path.unlink(missing_ok=True)
