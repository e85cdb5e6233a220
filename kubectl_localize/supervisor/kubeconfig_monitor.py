"""Notices that a kubeconfig file in use has changed: a new token, a new server port, or a context that is gone.

A context that is gone (the file went with its shell, as with kubie and kush) or that means another cluster by now is
used on, from a copy of what its files said before.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from kubectl_localize.cluster.kubeconfig_content import KubeconfigContent
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import write_atomic
from kubectl_localize.model import Connection
from kubectl_localize.timing import Clock

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0

Mark = tuple[int, int, int] | None  # mtime in ns, size and inode; None if there is no such file


class Movable(Protocol):
    """Something that uses a connection and can be given a changed one."""

    def move(self, connection: Connection) -> None: ...


class KubeconfigMonitor:
    """Looks at the files of a connection every second; reads them only if one has changed.

    Args:
        user: is given the connection that the changed files mean.
        copy: where what the files said is kept, but only once they do not say it any more.

    Attributes:
        problem: why a copy is used; empty if none is.
    """

    def __init__(self, connection: Connection, user: Movable, clock: Clock, copy: Path) -> None:
        self._connection = connection  # with the user's own files, also while the copy is used
        self._user = user
        self._clock = clock
        self._copy = copy
        self._marks = self._look()
        self._content = KubeconfigContent.read(connection.kubeconfig)
        self._lost = False
        self.problem = ""
        copy.unlink(missing_ok=True)  # of a supervisor that was killed

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            self.check()

    def close(self) -> None:
        """Remove the copy."""
        self._copy.unlink(missing_ok=True)

    def check(self) -> None:
        """Look once. A file that says nothing of the context may be one that is being written, until the next look."""
        marks = self._look()
        if marks == self._marks and not (self._lost and not self.problem):
            return
        self._marks = marks
        content = KubeconfigContent.read(self._connection.kubeconfig)
        current = content.reread(self._connection)
        files = " and ".join(self._connection.kubeconfig)
        if current is None:
            if self._lost or not any(marks):
                self._use_copy(f"{files} no longer has context {self._connection.context}")
            self._lost = True
        elif current.identity != self._connection.identity:
            self._use_copy(f"context {current.context} of {files} means another cluster now")
        else:
            log.info("a kubeconfig file has changed; the API server is at %s", current.server)
            self.use(current, content)

    def use(self, connection: Connection, content: KubeconfigContent) -> None:
        """Follow these files from now on, and have what they say used."""
        try:
            self._user.move(connection)
        except LocalizeError as error:
            log.warning("%s; what was known before is kept", error.message)
            return
        self._connection, self._content = connection, content
        self._marks = self._look()
        self._lost, self.problem = False, ""
        self.close()

    def remake_files(self) -> None:
        """Write anew what is used of the state directory, which somebody has removed: the copy, and a login's file.

        Raises:
            OSError: it cannot be written.
        """
        if self.problem:
            self._write_copy()
        for path, text in self._content.files:
            if Path(path).parent == self._copy.parent and not os.path.exists(path):
                write_atomic(Path(path), text.decode(errors="surrogateescape"))

    def has_credentials_of(self, connection: Connection) -> bool:
        """Whether another command's files have the same credentials: each shell may have a file of its own."""
        if connection.kubeconfig == self._connection.kubeconfig:
            return True
        theirs = KubeconfigContent.read(connection.kubeconfig)
        return theirs.credentials(connection) == self._content.credentials(self._connection)

    def _use_copy(self, why: str) -> None:
        if self.problem or self._content.is_empty:
            return
        try:
            self._write_copy()
        except OSError as error:
            log.warning("%s, and there can be no copy: %s", why, error.strerror or error)
            return
        self.problem = f"{why}; forwards and exposures go on with what it said before"
        log.warning("%s", self.problem)
        self._user.move(replace(self._connection, kubeconfig=(str(self._copy),)))

    def _write_copy(self) -> None:
        write_atomic(self._copy, json.dumps(self._content.alone(self._connection)))

    def _look(self) -> tuple[Mark, ...]:
        return tuple(_mark(path) for path in self._connection.kubeconfig)


def _mark(path: str) -> Mark:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
