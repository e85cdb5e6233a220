"""The local end of `ssh -R`: a listener that relays to the local process, counts, and waits for it to listen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.host.sockets import RESERVED_BY_CONNECTIONS, bind_loopback
from kubectl_localize.supervisor.exposing.listening import LocalListeners
from kubectl_localize.supervisor.exposing.readiness import ReadinessServer
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.relay import ClientSide, Relay
from kubectl_localize.supervisor.traffic.server import Admission, ConnectionServer, RefusalLog, RefusedError
from kubectl_localize.timing import first_of

log = logging.getLogger(__name__)

HOLD_SECONDS = 3.0  # a process that is being restarted is back by then
RETRY_SECONDS = 0.1
GONE_SECONDS = 2.0  # how long the process is let go on for a client that is gone, with what that has sent
PROOF_SECONDS = 0.3  # how long a connection may take to say that it is the proof, before anybody else is let through


class LocalProcess:
    """The user's process, as a relay sees what it connects to; it has no life of ours."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def attach(self, connection: object) -> None:
        """A connection is about to be opened."""

    def opened(self, connection: object) -> None:
        """The process has accepted it."""

    def answered(self, connection: object) -> None:
        """Its first byte came back."""

    def stall(self, connection: object, stalled: bool) -> None:
        """Its client has stopped reading, or reads again."""

    def detach(self, connection: object) -> None:
        """It has ended."""


class LocalPort(ConnectionServer):
    """One carried port's end on this machine: `ssh -R` connects to it, and it relays to the local process.

    Args:
        processes: where the user's process may be, in the order in which these places are tried.
        admission: decides who is served: only our own ssh is.
        refusals: hears of connections of others.
        buffer: what bytes are read into.
        clock: seconds, monotonic.

    Attributes:
        proven: set when the proof has arrived.
        hold_seconds: how long a connection waits for a process that does not listen.
        gone_seconds: how long the process may go on for a client that is gone.
        refused: whether the process did not accept the last connection.
    """

    def __init__(
        self,
        *processes: LocalProcess,
        admission: Admission,
        refusals: RefusalLog,
        buffer: ReadBuffer,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(admission, refusals, buffer)
        self._processes = processes
        self._clock = clock
        self._proof = b""
        self.proven = asyncio.Event()
        self.hold_seconds = HOLD_SECONDS
        self.gone_seconds = GONE_SECONDS
        self.refused = False

    def expect(self, nonce: bytes) -> None:
        """From now on a connection that begins with these bytes is the proof, and gets them back."""
        self._proof = nonce
        self.proven.clear()

    def expect_no_more(self) -> None:
        """Every connection goes to the local process at once."""
        self._proof = b""

    def lead_to(self, process: LocalProcess) -> None:
        """From now on connections, those that are held among them, go there."""
        self._processes = (process,)

    async def intercept(self, relay: Relay, client: ClientSide) -> bool:
        return bool(self._proof) and await self._is_proof(relay, client)

    async def _is_proof(self, relay: Relay, client: ClientSide) -> bool:
        """Whether this is our own connection from inside the cluster; anybody else's is only delayed a little."""
        deadline = self._clock() + PROOF_SECONDS
        while not client.gone and not client.ended and self._clock() < deadline:
            if len(relay.received) >= len(self._proof):
                break
            await relay.wait_received(deadline - self._clock())
        if not self._proof or not relay.received.startswith(self._proof):
            return False
        self.proven.set()
        if client.transport is not None:
            client.transport.write(self._proof)
            client.transport.close()
        return True

    async def carry(self, relay: Relay) -> bool:
        began = self._clock()
        while not relay.client_is_gone:
            if await self._relayed(relay):
                self.refused = False
                return True
            self.refused = True
            left = began + self.hold_seconds - self._clock()
            if left <= 0:
                raise RefusedError(f"nothing listens on {self._processes[0]}")
            await first_of(relay.closed.wait(), timeout_seconds=min(left, RETRY_SECONDS))
        return False

    async def _relayed(self, relay: Relay) -> bool:
        """Relay to the first place that accepts; False if none does."""
        for process in self._processes:
            with contextlib.suppress(OSError):
                await relay.through(process, self.gone_seconds)
                return True
        return False


class LocalEnds:
    """The ends of `ssh -R` on this machine, and whether the user's processes behind them are there.

    Args:
        carried: the ports that the exposure pod carries.

    Attributes:
        ports: our listener for each, by its number in the pod.
        heartbeat: answers the readiness probes.
    """

    def __init__(self, carried: Sequence[CarriedPort], runtime: Runtime) -> None:
        self._carried = tuple(carried)
        self._listeners = LocalListeners(runtime.system)
        self._hosts: dict[int, str] = {}
        admission = Admission(runtime.peers, os.getuid(), root=False)  # as whom our ssh runs
        self.heartbeat = ReadinessServer(admission, runtime.refusals)
        self.ports = {
            port.number: LocalPort(
                *(LocalProcess(host, port.local_port) for host in port.hosts),
                admission=admission,
                refusals=runtime.refusals,
                buffer=runtime.buffer,
                clock=runtime.clock.now,
            )
            for port in carried
        }

    async def listen(self) -> None:
        """Listen on loopback ports of the kernel's choice.

        Raises:
            OSError: no port or descriptor is left.
        """
        for port in self.ports.values():
            await port.listen(bind_loopback("127.0.0.1", 0, RESERVED_BY_CONNECTIONS))
        await self.heartbeat.listen()

    async def close(self) -> None:
        """Stop listening and reset what is open; a failure of one skips no other."""
        async with AsyncExitStack() as stack:
            stack.callback(self.heartbeat.close)
            for port in self.ports.values():
                stack.push_async_callback(port.close)

    def hold(self, seconds: float) -> None:
        """From now on hold connections so long while nothing listens."""
        for port in self.ports.values():
            port.hold_seconds = seconds

    def look(self) -> None:
        """Look at which address something listens, for those ports that may be served at several; see `local`."""
        for port in self._carried:
            if port.either:
                self._hosts[port.number] = self._listeners.host(port)

    def local(self, port: CarriedPort) -> str:
        """Where a port leads to, as of the last look: `127.0.0.1:3000`."""
        return port.at(self._hosts.get(port.number, port.host))

    def silent(self) -> list[CarriedPort]:
        """The exposed ports on which nothing listens.

        If the system does not tell, what the last connection met counts.
        """
        self.look()
        return [port for port in self._carried if port.asked and self._is_silent(port)]

    def _is_silent(self, port: CarriedPort) -> bool:
        listens = self._listeners.listens(port)
        return listens is False or (listens is None and self.ports[port.number].refused)
