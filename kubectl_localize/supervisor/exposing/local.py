"""Where `ssh -R` ends here: a listener of ours that relays to the local process, counts, and waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence

from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.exposing.readiness import ReadinessServer
from kubectl_localize.supervisor.traffic.relay import ClientSide, ReadBuffer, Relay, Traffic

log = logging.getLogger(__name__)

BACKLOG = 1024
HOLD_SECONDS = 3.0  # a process that is being restarted is back by then
RETRY_SECONDS = 0.1
GONE_SECONDS = 2.0  # how long the process is let go on for a client that is gone, with what that has sent
PROOF_SECONDS = 0.3  # how long a connection may take to say that it is the proof, before anybody else is let through


class LocalProcess:
    """The user's process, as a relay sees what it connects to; it has no life of ours."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

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


class LocalPort:
    """One carried port's end on this machine.

    Args:
        admits: whether the owner of the other end of an accepted connection is served: only our own ssh is.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        process: LocalProcess,
        buffer: ReadBuffer,
        *,
        admits: Callable[[socket.socket], bool],
        clock: Callable[[], float],
    ) -> None:
        self._process = process
        self._buffer = buffer
        self._admits = admits
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._proof = b""
        self.proven = asyncio.Event()
        self.hold_seconds = HOLD_SECONDS
        self.gone_seconds = GONE_SECONDS
        self.traffic = Traffic()
        self.number = 0
        self.refused = False

    async def listen(self) -> None:
        """Listen on a loopback port of the kernel's choice, which `number` then is.

        Raises: OSError.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", 0, backlog=BACKLOG)
        self.number = self._server.sockets[0].getsockname()[1]

    def expect(self, nonce: bytes) -> None:
        """From now on a connection that begins with these bytes is the proof, and gets them back."""
        self._proof = nonce
        self.proven.clear()

    def expect_no_more(self) -> None:
        """Every connection goes to the local process at once."""
        self._proof = b""

    def lead_to(self, process: LocalProcess) -> None:
        """From now on connections, those that are held among them, go there."""
        self._process = process

    async def close(self) -> None:
        """Stop listening and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _accept(self) -> ClientSide:
        relay = Relay(self._buffer, self.traffic)

        def begin(client: ClientSide) -> None:
            task = asyncio.get_running_loop().create_task(self._serve(relay, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return ClientSide(relay, self._buffer, begin)

    async def _serve(self, relay: Relay, client: ClientSide) -> None:
        if client.transport is None or not self._admits(client.transport.get_extra_info("socket")):
            relay.reset()
            return
        if self._proof and await self._is_proof(relay, client):
            return
        self.traffic.open += 1
        self.traffic.total += 1
        try:
            if await self._relay(relay):
                await relay.finish()
            else:
                relay.reset()
        except asyncio.CancelledError:
            relay.reset()
        except Exception:  # a client must not be left hanging, whatever went wrong here
            log.exception("a connection to %s:%d", self._process.host, self._process.port)
            relay.reset()
        finally:
            self.traffic.open -= 1

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

    async def _relay(self, relay: Relay) -> bool:
        """Relay to the local process, waiting a moment for one that is just not there; whether it took it."""
        began = self._clock()
        while not relay.client_is_gone:
            try:
                await self._through(relay)
            except OSError:
                self.refused = True
                left = began + self.hold_seconds - self._clock()
                if left <= 0:
                    return False
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, RETRY_SECONDS)):
                        await relay.closed.wait()
                continue
            self.refused = False
            return True
        return False

    async def _through(self, relay: Relay) -> None:
        """One connection to the local process, until either side ends it.

        The process of a client that is gone only hears that nothing more is sent: one that streams, and reads nothing,
        would go on for ever. So it is reset after a moment, as it would be if that client had connected to it.

        Raises: OSError where the process does not accept.
        """
        through = asyncio.ensure_future(relay.through(self._process))
        gone = asyncio.ensure_future(relay.closed.wait())
        try:
            await asyncio.wait((through, gone), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((through,), timeout=self.gone_seconds)
            if through.done():
                through.result()
        finally:
            gone.cancel()
            through.cancel()
            await asyncio.wait((through,))


class LocalEnds:
    """Where `ssh -R` leads to, and whether the user's processes behind it are there.

    Args:
        carried: the ports; `ports` has our listener for each, by its number in the pods, and `heartbeat` answers the
            probes.
    """

    def __init__(self, carried: Sequence[CarriedPort], means: Means) -> None:
        self._carried = tuple(carried)
        self._means = means
        self.heartbeat = ReadinessServer()
        self.ports = {
            port.number: LocalPort(
                LocalProcess(port.host, port.local_port), means.buffer, admits=means.admits, clock=means.clock.now
            )
            for port in carried
        }

    async def listen(self) -> None:
        """Listen on loopback ports of the kernel's choice. Raises: OSError."""
        for port in self.ports.values():
            await port.listen()
        await self.heartbeat.listen()

    async def close(self) -> None:
        """Stop listening and reset what is open."""
        for port in self.ports.values():
            await port.close()
        self.heartbeat.close()

    def hold(self, seconds: float) -> None:
        """From now on hold connections so long while nothing listens."""
        for port in self.ports.values():
            port.hold_seconds = seconds

    def nothing_listens(self) -> str:
        """`nothing listens on HOST:PORT` for the first port that was asked for where that is so; empty where all do."""
        silent = self.silent()
        return f"nothing listens on {silent}" if silent else ""

    def silent(self) -> str:
        """The first HOST:PORT that was asked for and where nothing listens; empty where something does on all.

        Where the system does not tell, what the last connection met counts.
        """
        for port in self._carried:
            found = self._means.listens(port.host, port.local_port)
            if port.asked and (found is False or (found is None and self.ports[port.number].refused)):
                return port.local
        return ""
