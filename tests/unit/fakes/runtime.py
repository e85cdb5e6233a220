"""A runtime whose cluster is in memory, on a machine where what listens is as a test wants it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from kubectl_localize.cluster.transport import Transport
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.system import System
from kubectl_localize.host.system.listeners import Listener, Program
from kubectl_localize.supervisor.runtime import Runtime
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.cluster import Cluster
from tests.unit.fakes.groups import Groups
from tests.unit.fakes.peers import NamedPeers
from tests.unit.supervisor.exposing.samples import NOW

Listens = Callable[[str, int], bool | None]


class ListeningSystem:
    """A machine on which something listens, nothing does, or nobody knows (None).

    Args:
        answer: whether something listens at a host and port.
        listeners: what listens, with addresses.
        programs: by the sockets' inodes; those that are not there belong to root.
        command_sockets: the inodes of what the local command has open.
    """

    def __init__(
        self,
        answer: Listens,
        listeners: Sequence[Listener] = (),
        programs: Mapping[int, Program] | None = None,
        command_sockets: Collection[int] = (),
    ) -> None:
        self._answer = answer
        self._listeners = listeners
        self._programs = programs or {}
        self._command_sockets = command_sockets

    def listens(self, host: str, port: int) -> bool | None:
        return self._answer(host, port)

    def listeners(self) -> Sequence[Listener]:
        return self._listeners

    def program_of(self, listener: Listener) -> Program:
        return self._programs.get(listener.inode, Program("a process", 0, "root"))

    def sockets_of(self, command: int) -> Collection[int]:
        return self._command_sockets


class SilentWatches:
    """A transport to a cluster in memory whose watches never tell of anything."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def request(self, method: str, path: str) -> dict[str, Any]:
        return await self._cluster.request(method, path)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._nothing()

    async def _nothing(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


def runtime(cluster: Cluster, directory: Path, listens: Listens = lambda host, port: True) -> Runtime:
    """Reach a cluster in memory; its clock is the cluster's, and the wall clock stands at NOW."""
    made = Runtime(CONNECTION, RunPaths(directory), Groups())
    made.peers.close()
    made.api = cluster.api
    made.transport = cast(Transport, SilentWatches(cluster))
    made.clock = cluster.clock
    made.peers = NamedPeers(os.getuid())
    made.system = cast(System, ListeningSystem(listens))
    made.now = lambda: NOW  # type: ignore[method-assign]
    return made
