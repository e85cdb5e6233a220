"""Accepts connections on a bound socket, refuses those of other users, and runs a task for each until it ends."""

from __future__ import annotations

import asyncio
import logging
import socket
from abc import ABC, abstractmethod

from kubectl_localize.host.sockets import RESERVED_BY_CONNECTIONS, is_reserved, too_many_files
from kubectl_localize.host.system import Peers
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer, Traffic
from kubectl_localize.supervisor.traffic.relay import ClientSide, Relay

log = logging.getLogger(__name__)

BACKLOG = 4096  # a burst of thousands of connections needs more than asyncio's 100
ROOT = 0
REFUSALS_SECONDS = 10.0


class RefusedError(Exception):
    """A connection is given up; its text says why."""


class Admission:
    """Decides whether an accepted connection is served, by the user at its other end.

    Args:
        peers: knows who is at the other end, if the system tells.
        uid: this user's number.
        everybody: serve every user of this machine.
        root: serve root as well.
    """

    def __init__(self, peers: Peers, uid: int, *, everybody: bool = False, root: bool = True) -> None:
        self._peers = peers
        self._served = {uid, ROOT} if root else {uid}
        self._everybody = everybody

    @property
    def problem(self) -> str:
        """A sentence if others are served though nobody has asked for it; else empty."""
        if self._everybody or self._peers.available:
            return ""
        return "this system does not tell who owns a connection, so every user of this machine is served"

    def objection(self, accepted: socket.socket) -> str:
        """Why an accepted connection is not served; empty if it is."""
        if self._everybody or not self._peers.available:
            return ""
        owner = self._peers.uid(accepted)
        if owner is None:  # it might be anybody's
            return "its client closed it before its owner could be checked; --allow-other-users serves such ones too"
        return "" if owner in self._served else f"its client belongs to another user (uid {owner})"


class RefusalLog:
    """Logs connections that were given up: the first one at once, then at most one line per interval for all of them.

    Somebody who tries again a hundred times a second would fill the log otherwise.

    Args:
        interval_seconds: the time between two lines.
    """

    def __init__(self, interval_seconds: float = REFUSALS_SECONDS) -> None:
        self._interval_seconds = interval_seconds
        self._count = 0
        self._last = (0, "")
        self._timer: asyncio.TimerHandle | None = None

    def note(self, port: int, reason: str) -> None:
        """Count a connection.

        Args:
            port: the local port that it came to.
            reason: why it was given up.
        """
        self._count += 1
        self._last = (port, reason)
        if self._timer is None:
            self._write()
            self._timer = asyncio.get_running_loop().call_later(self._interval_seconds, self._due)

    def close(self) -> None:
        """Log what has not been logged yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write()

    def _due(self) -> None:
        self._timer = None
        if self._count:
            self._write()
            self._timer = asyncio.get_running_loop().call_later(self._interval_seconds, self._due)

    def _write(self) -> None:
        if self._count == 1:
            log.info("a connection to port %d was reset: %s", *self._last)
        elif self._count:
            log.info("%d connections were reset, the last one to port %d: %s", self._count, *self._last)
        self._count = 0


class ConnectionServer(ABC):
    """Serves the connections that one socket accepts; a subclass says where each of them goes.

    Args:
        admission: decides who is served.
        refusals: hears of each connection that is given up.
        buffer: what bytes are read into.

    Attributes:
        traffic: counts, for `ls`.
        local_port: the port that it listens on; 0 before.
    """

    def __init__(self, admission: Admission, refusals: RefusalLog, buffer: ReadBuffer) -> None:
        self._admission = admission
        self._refusals = refusals
        self._buffer = buffer
        self._server: asyncio.Server | None = None
        self._connections = Tasks()
        self.traffic = Traffic()
        self.local_port = 0

    @property
    def listening(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None

    async def listen(self, bound: socket.socket) -> None:
        """Accept on a bound socket, from now on in the place of an earlier one; what is open there stays open.

        Raises:
            OSError: it cannot be listened on: two may bind the same port, and the second one's listen fails.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accept, sock=bound, backlog=BACKLOG)
        if self._server is not None:
            self._server.close()
        self._server = server
        self.local_port = bound.getsockname()[1]

    async def close(self) -> None:
        """Stop listening and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._connections.end()

    @abstractmethod
    async def carry(self, relay: Relay) -> bool:
        """Take a connection to where it goes, until it has ended.

        Returns:
            Whether it ended in good order; if not, the connection to its client is reset.

        Raises:
            RefusedError: it is given up.
        """

    async def intercept(self, relay: Relay, client: ClientSide) -> bool:
        """Whether this is no connection of a client but one of our own, which is served already."""
        return False

    def _accept(self) -> ClientSide:
        """Make what asyncio calls for a connection that it has accepted."""
        return ClientSide(Relay(self._buffer, self.traffic), self._buffer, self._begin)

    def _begin(self, relay: Relay, client: ClientSide) -> None:
        if self._server is None:  # it was in the kernel's queue when the server was closed
            relay.reset()
            return
        self._connections.start(self._serve(relay, client), f"a connection to port {self.local_port}")

    async def _serve(self, relay: Relay, client: ClientSide) -> None:
        """Serve one connection, and close it even if our own code fails."""
        try:
            assert client.transport is not None
            connection = client.transport.get_extra_info("socket")
            if is_reserved(connection.fileno(), RESERVED_BY_CONNECTIONS):
                raise RefusedError(too_many_files())
            if objection := self._admission.objection(connection):
                raise RefusedError(objection)
            if not await self.intercept(relay, client):
                await self._count(relay)
        except RefusedError as refusal:
            self._refusals.note(self.local_port, str(refusal))
            relay.reset()
        except BaseException:
            relay.reset()
            raise

    async def _count(self, relay: Relay) -> None:
        self.traffic.open += 1
        self.traffic.total += 1
        try:
            if await self.carry(relay):
                await relay.finish()
            else:
                relay.reset()
        finally:
            self.traffic.open -= 1
