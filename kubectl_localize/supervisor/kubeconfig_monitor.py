"""Notices that a kubeconfig file in use has changed: a new token, or a new server port after `minikube start`."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Protocol

from kubectl_localize.cluster import kubeconfig
from kubectl_localize.errors import LocalizeError
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
    """

    def __init__(self, connection: Connection, user: Movable, clock: Clock) -> None:
        self._connection = connection
        self._user = user
        self._clock = clock
        self._marks = self._look()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            self.check()

    def check(self) -> None:
        """Look once. A file that says nothing of the context is one that is being written, or will be again."""
        marks = self._look()
        if marks == self._marks:
            return
        self._marks = marks
        connection = reread(self._connection)
        if connection is None:
            return
        if connection.identity != self._connection.identity:
            log.warning("context %s means another cluster now; this one is kept", connection.context)
            return
        log.info("a kubeconfig file has changed; the API server is at %s", connection.server)
        try:
            self._user.move(connection)
        except LocalizeError as error:
            log.warning("%s; what was known before is kept", error.message)
            return
        self._connection = connection

    def _look(self) -> tuple[Mark, ...]:
        return tuple(_mark(path) for path in self._connection.kubeconfig)


def reread(connection: Connection) -> Connection | None:
    """Read the kubeconfig files again. Returns the connection as they have it now; None if they do not have it.

    A proxy that only the environment names stays.
    """
    try:
        current = kubeconfig.connection(
            kubeconfig.read_view(connection.kubeconfig),
            kubectl=connection.kubectl,
            kubeconfig=connection.kubeconfig,
            context=connection.context,
            cluster=connection.cluster,
        )
    except LocalizeError:
        return None
    proxy = current.proxy or connection.proxy
    return replace(connection, server=current.server, proxy=proxy, identity=current.identity)


def _mark(path: str) -> Mark:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
