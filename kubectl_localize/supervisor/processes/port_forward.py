"""`kubectl port-forward` of one port of one pod: its command line, its start, and the local port that it listens on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import KubectlError
from kubectl_localize.model import Connection
from kubectl_localize.supervisor.processes.process import Process, ProcessSpawner
from kubectl_localize.timing import first_of

READ_BYTES = 64 * 1024


@dataclass(frozen=True, order=True)
class Target:
    """What a port-forward leads to: a port number of a pod."""

    namespace: str
    pod: str
    port: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}:{self.port}"


class PortForward:
    """A `kubectl port-forward` that was started. As a context manager it is stopped at the end of the block.

    `host` and `port` are where it listens; the port is 0 until it does.
    """

    host = "127.0.0.1"

    def __init__(self, target: Target, process: Process) -> None:
        self.target = target
        self.port = 0
        self._process = process

    @property
    def pid(self) -> int:
        """The number of kubectl's process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether kubectl has not ended yet."""
        return self._process.alive

    async def await_port(self, timeout_seconds: float | None = None) -> int:
        """Wait until kubectl listens.

        Args:
            timeout_seconds: the longest wait; None means that kubectl's own limits are enough.

        Returns:
            The local port.

        Raises:
            KubectlError: kubectl has ended instead, or the time ran out.
        """
        listening = await first_of(self._read_port(), timeout_seconds=timeout_seconds)
        if listening is None:
            raise KubectlError(f"kubectl port-forward to {self.target} does not listen after {timeout_seconds:g} s")
        port = listening.result()
        if port is None:
            raise await self.ended()
        self.port = port
        return self.port

    async def _read_port(self) -> int | None:
        """The port that kubectl says it listens on; None if it has ended without saying so."""
        while line := await self._process.stdout.readline():
            port = kubectl.forwarding_port(line.decode(errors="replace"))
            if port is not None:
                return port
        return None

    async def ended(self) -> KubectlError:
        """Wait until kubectl has ended; meanwhile read its output, so that it is never held up by a full pipe.

        Returns:
            Why it ended, from what it wrote to stderr.
        """
        while await self._process.stdout.read(READ_BYTES):
            pass
        exit_code = await self._process.wait()
        return kubectl.explain(self._process.tail, exit_code)

    async def stop(self) -> None:
        """End kubectl, and wait until it has ended."""
        await self._process.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class PortForwarder:
    """Starts port-forwards in one context.

    Args:
        connection: names the kubectl, the kubeconfig and the context.
        spawner: starts the processes.
    """

    def __init__(self, connection: Connection, spawner: ProcessSpawner) -> None:
        self._connection = connection
        self._spawner = spawner

    def move(self, connection: Connection) -> None:
        """Use another connection from the next port-forward on."""
        self._connection = connection

    async def start(self, target: Target, on_error_line: Callable[[str], None] | None = None) -> PortForward:
        """Start a port-forward; it does not listen yet.

        Args:
            on_error_line: takes each line that kubectl writes to stderr.

        Raises:
            SpawnError: kubectl cannot be started at all.
        """
        command = kubectl.port_forward(self._connection, target.namespace, target.pod, target.port)
        return PortForward(target, await self._spawner.spawn(command, on_error_line))
