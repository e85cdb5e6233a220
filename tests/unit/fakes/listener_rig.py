"""A listener with all that is behind it, on real loopback sockets; programs stand in for its children's kubectl."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from kubectl_localize.errors import SpawnError
from kubectl_localize.host.resolve import addresses
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.model import Endpoint
from kubectl_localize.supervisor.access import Access
from kubectl_localize.supervisor.forwarding.listener import Listener, ListenerConfig
from kubectl_localize.supervisor.forwarding.spec import Terms
from kubectl_localize.supervisor.probe import ApiServerProbe
from kubectl_localize.supervisor.processes.child import Child
from kubectl_localize.supervisor.processes.pool import Pool
from kubectl_localize.supervisor.processes.port_forward import PortForwarder, Target
from kubectl_localize.supervisor.processes.process import Process, Spawner
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from kubectl_localize.timing import Notifier
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.groups import Groups
from tests.unit.fakes.peers import NamedPeers
from tests.unit.fakes.reporter import NotingReporter
from tests.unit.supervisor.loop import Clock

REFUSALS_SECONDS = 3600.0  # no test waits for it
STAND_IN = Path(__file__).with_name("stand_in.py")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Rig:
    """One Service in namespace `shop` whose pods do as they are told.

    `failure` is what the start of any child raises, `failing_ports` are those whose children cannot be started, and
    `unstoppable` holds the process groups that cannot be signalled.

    Args:
        pods: what the kubectl of each pod does (`stand_in`), by the pod's name.
        log: where the pods note what they get.
        owner: the uid whose the clients are; the listener serves 1000 and root.
    """

    def __init__(
        self,
        pods: dict[str, str],
        log: Path,
        *,
        wait_timeout_seconds: float = 15.0,
        max_children: int = 64,
        owner: int | None = 1000,
    ) -> None:
        self.how = pods
        self.log = log
        self.clock = Clock()
        self.changed = Notifier()
        self.groups = Groups()
        self.refusals = RefusalLog(REFUSALS_SECONDS)
        self.reporter = NotingReporter()
        self.started: list[str] = []
        self.gone: set[str] = set()
        self.leaving: set[str] = set()
        self.affinity_seconds = 0
        self.failure: Exception | None = None
        self.failing_ports: set[int] = set()
        self.unstoppable: set[int] = set()
        self.clients: list[asyncio.StreamWriter] = []
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.link = ApiServerProbe(
            ("127.0.0.1", 1), resolve=addresses, boot_ahead=lambda: 0.0, changed=self.changed, renewable=self
        )
        self.access = Access(self.changed)
        self.pool = Pool(
            forwarder=PortForwarder(CONNECTION, self),
            pods=self,
            clock=self.clock,
            changed=self.changed,
            reporter=self.reporter,
            max_children=max_children,
            idle_timeout_seconds=60.0,
        )
        self.terms = Terms(wait_timeout_seconds=wait_timeout_seconds)
        self.config = ListenerConfig(
            pool=self.pool,
            probe=self.link,
            access=self.access,
            changed=self.changed,
            clock=self.clock,
            admission=Admission(NamedPeers(owner), 1000),
            open_admission=Admission(NamedPeers(owner), 1000, everybody=True),
            refusals=self.refusals,
            buffer=ReadBuffer(),
        )
        self.listener = Listener(self.config, "shop", self.terms)
        self.ready(*pods)

    def renew(self) -> None:
        """Nothing is to be renewed here."""

    async def spawn(self, argv: Sequence[str], on_error_line: Callable[[str], None] | None = None) -> Process:
        """Start the stand-in for the kubectl that a command line asks for (`ProcessSpawner`)."""
        pod = next(argument.removeprefix("pod/") for argument in argv if argument.startswith("pod/"))
        self.started.append(pod)
        await self.may_start.wait()
        if self.failure is not None:
            raise self.failure
        if any(f":{port}" in argv for port in self.failing_ports):
            raise SpawnError("kubectl cannot be started")
        command = [sys.executable, "-S", str(STAND_IN), pod, self.how[pod], str(self.log)]
        return await Spawner(self.groups, os.environ, self.killpg).spawn(command, on_error_line)

    def killpg(self, pgid: int, number: int) -> None:
        """Signal a group of processes, unless a test wants that to fail."""
        if pgid in self.unstoppable:
            raise RuntimeError("it cannot be stopped")
        os.killpg(pgid, number)

    async def pod_exists(self, namespace: str, pod: str) -> bool:
        """Whether a pod is there (`Pods`)."""
        return pod not in self.gone

    def ready(self, *pods: str) -> None:
        """Make these the Ready pods; those in `leaving` are on their way out."""
        endpoints = (Endpoint(pod, 8080, terminating=pod in self.leaving) for pod in pods)
        self.listener.follow(tuple(endpoints), "shop", self.affinity_seconds)

    def child(self, pod: str) -> Child:
        """The child that new connections to a pod use."""
        child = self.pool.peek(Target("shop", pod, 8080))
        assert child is not None
        return child

    async def connect(self, data: bytes = b"", limit: int = 65536) -> Streams:
        """A client, which sends data at once."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.local_port, limit=limit)
        self.clients.append(writer)
        writer.write(data)
        return reader, writer

    async def ask(self, line: str) -> str:
        """Return what comes back for a line until the end of the connection; `reset` if it was reset."""
        reader, writer = await self.connect(line.encode() + b"\n")
        try:
            return (await reader.read()).decode()
        except ConnectionResetError:
            return "reset"
        finally:
            writer.close()

    def noted(self) -> list[str]:
        """What the pods got."""
        return self.log.read_text().splitlines() if self.log.exists() else []


@asynccontextmanager
async def rig(pods: dict[str, str], tmp_path: Path, **options: Any) -> AsyncIterator[Rig]:
    """A rig that listens."""
    stage = Rig(pods, tmp_path / "log", **options)
    bound = bind_loopback("127.0.0.1", 0)
    assert isinstance(bound, socket.socket)
    await stage.listener.listen(bound)
    try:
        yield stage
    finally:
        for writer in stage.clients:
            writer.transport.abort()
        await stage.listener.close()
        await stage.pool.end()
        stage.refusals.close()
        for writer in stage.clients:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
