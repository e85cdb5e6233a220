"""One `kubectl proxy` on a Unix socket, and the connections to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import KubectlError
from kubectl_localize.model import Connection

if TYPE_CHECKING:
    from kubectl_localize.cluster.http_connection import HttpConnection

log = logging.getLogger(__name__)

START_SECONDS = 20.0
IDLE_CONNECTIONS = 8


class Process(Protocol):
    """A started `kubectl proxy`."""

    @property
    def stdout(self) -> asyncio.StreamReader: ...

    @property
    def tail(self) -> Sequence[str]: ...

    @property
    def alive(self) -> bool: ...

    async def wait(self) -> int: ...

    async def stop(self) -> None: ...


class Spawner(Protocol):
    """Starts processes; raises a KubectlError if that fails."""

    async def spawn(
        self, argv: Sequence[str], *, directory: Path | None = None, variables: Mapping[str, str] = ...
    ) -> Process: ...


class SocketPaths(Protocol):
    """Where proxies listen."""

    @property
    def directory(self) -> Path: ...

    def address(self, name: str) -> AbstractContextManager[str]: ...

    def place(self, name: str) -> tuple[str, Path | None]: ...


@dataclass
class Proxy:
    """One running `kubectl proxy`, and the connections to it.

    Args:
        name: its socket's, among `sockets`.
        prefix: the path of the server's URL (Rancher's `/k8s/clusters/c-1`), which the proxy leaves to its clients.
    """

    process: Process
    sockets: SocketPaths
    name: str
    prefix: str

    @classmethod
    async def start(cls, connection: Connection, sockets: SocketPaths, name: str, spawner: Spawner) -> Proxy:
        """Start one; `listen` waits until it takes connections.

        Raises:
            KubectlError: it cannot be started.
        """
        path, directory = sockets.place(name)
        process = await spawner.spawn(
            kubectl.proxy(connection, path), directory=directory, variables=kubectl.PROXY_VARIABLES
        )
        return cls(process, sockets, name, urlsplit(connection.server).path.rstrip("/"))

    def __post_init__(self) -> None:
        self.listens = False
        self._idle: list[HttpConnection] = []
        self._interruptible: set[HttpConnection] = set()
        self._in_use = 0
        self._free = asyncio.Event()
        self._free.set()
        self.retired = False

    async def listen(self) -> None:
        """Wait until it takes connections.

        Raises:
            KubectlError: it does not get there.
        """
        if self.listens:
            return
        try:
            async with asyncio.timeout(START_SECONDS):
                if not await self.process.stdout.readline():
                    raise kubectl.explain(self.process.tail, await self.process.wait())
        except TimeoutError:
            raise KubectlError(f"`kubectl proxy` did not start within {START_SECONDS:g} s") from None
        self.listens = True
        log.info("`kubectl proxy` listens at %s", self.name)

    @asynccontextmanager
    async def connection(self, *, interruptible: bool) -> AsyncIterator[HttpConnection]:
        """A connection for one exchange; it is kept for the next one if it is idle afterwards.

        Args:
            interruptible: whether `retire` may cut it: it can be asked again without harm.

        Raises:
            OSError: the proxy takes no connection.
        """
        self._in_use += 1
        self._free.clear()
        connection: HttpConnection | None = None
        try:
            while self._idle and connection is None:
                connection = self._idle.pop()
                if not connection.is_idle:
                    connection.abort()
                    connection = None
            if connection is None:
                # Not at the top: the proxy, which takes longer to start, does so meanwhile.
                from kubectl_localize.cluster.http_connection import HttpConnection

                with self.sockets.address(self.name) as address:
                    connection = await HttpConnection.open(address)
            if interruptible and self.retired:  # while the connection was being opened
                raise ConnectionResetError("the proxy has been replaced")
            if interruptible:
                self._interruptible.add(connection)
            yield connection
        finally:
            if connection is not None:
                self._give_back(connection)
            self._in_use -= 1
            if not self._in_use:
                self._free.set()

    def _give_back(self, connection: HttpConnection) -> None:
        self._interruptible.discard(connection)
        if connection.is_idle and not self.retired and len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(connection)
        else:
            connection.abort()

    def retire(self) -> None:
        """Take no more requests; cut streams and reads, which are asked again elsewhere."""
        self.retired = True
        for connection in (*self._idle, *self._interruptible):
            connection.abort()
        self._idle.clear()

    async def stop(self) -> None:
        """End it once the requests that change something are answered; each of those has a time limit."""
        self.retire()
        try:
            await self._free.wait()
        finally:
            await self.process.stop()
            (self.sockets.directory / self.name).unlink(missing_ok=True)
