"""The bytes of one connection between its client and a child's port, each side shielded from what the other does."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import Callable
from enum import Enum
from typing import Protocol, cast

from kubectl_localize.supervisor.processes.liveness import Carried
from kubectl_localize.supervisor.traffic.buffer import BUFFER_BYTES, Traffic
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer as ReadBuffer
from kubectl_localize.timing import first_of

REPLAY_BYTES = 64 * 1024
LINGER_SECONDS = 2.0
SAFE_REQUEST = re.compile(rb"(?:GET|HEAD|OPTIONS) \S+ HTTP/1\.[01]\r\n")
END_OF_HEADERS = b"\r\n\r\n"


class Upstream(Protocol):
    """Where a connection goes, and who is told of it: a child, or the user's own process.

    Before `attach` a connection is not counted, after `opened` its port has accepted it, `answered` means its first
    byte came back, `stall` that its client has stopped reading or reads again, and `detach` that it has ended.
    """

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    def attach(self, connection: Carried) -> None: ...

    def opened(self, connection: Carried) -> None: ...

    def answered(self, connection: Carried) -> None: ...

    def stall(self, connection: Carried, stalled: bool) -> None: ...

    def detach(self, connection: Carried) -> None: ...


class Outcome(Enum):
    """How a connection to a child ended."""

    DONE = "done"  # both ways ended as they should, or the client is gone
    EMPTY = "empty"  # the child's side ended before a byte came back


class ClientSide(asyncio.BufferedProtocol):
    """The client's side of a relay. It keeps what was sent until something comes back, so another pod can be tried.

    Args:
        accepted: called with the relay and this once there is a transport.

    Attributes:
        ended: whether the client has nothing more to send.
        gone: whether it is closed.
    """

    def __init__(self, relay: Relay, buffer: ReadBuffer, accepted: Callable[[Relay, ClientSide], None]) -> None:
        self._relay = relay
        self._buffer = buffer
        self._accepted = accepted
        self.transport: asyncio.Transport | None = None
        self.ended = False
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES)
        self._relay.started(self)
        self._accepted(self._relay, self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer.get()

    def buffer_updated(self, nbytes: int) -> None:
        self._relay.from_client(nbytes)

    def eof_received(self) -> bool:
        self.ended = True
        self._relay.client_ended()
        return True  # keep the other direction open

    def pause_writing(self) -> None:
        self._relay.client_stalled(True)

    def resume_writing(self) -> None:
        self._relay.client_stalled(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._relay.client_gone()


class UpstreamSide(asyncio.BufferedProtocol):
    """The child's end, for one attempt; there may be another attempt with another child."""

    def __init__(self, relay: Relay, buffer: ReadBuffer) -> None:
        self._relay = relay
        self._buffer = buffer
        self.transport: asyncio.Transport | None = None
        self.answered = False
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=BUFFER_BYTES)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer.get()

    def buffer_updated(self, nbytes: int) -> None:
        self._relay.from_upstream(self, nbytes)

    def eof_received(self) -> bool:
        return False  # kubectl has closed both directions when it sends no more

    def pause_writing(self) -> None:
        self._relay.upstream_stalled(True)

    def resume_writing(self) -> None:
        self._relay.upstream_stalled(False)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.outcome.done():
            self.outcome.set_result(Outcome.DONE if self.answered else Outcome.EMPTY)
        self._relay.upstream_gone(self)


class Relay:
    """One accepted connection: moves its bytes to where a `ConnectionServer` sends it.

    Attributes:
        closed: set when the client is gone.
        closed_or_ended: set when the client is gone or has nothing more to send.
    """

    def __init__(self, buffer: ReadBuffer, traffic: Traffic) -> None:
        self._buffer = buffer
        self._traffic = traffic
        self._client: ClientSide | None = None
        self._upstream: UpstreamSide | None = None
        self._child: Upstream | None = None
        self._replay: bytearray | None = bytearray()
        self._sent = False
        self._news = asyncio.Event()
        self.closed = asyncio.Event()
        self.closed_or_ended = asyncio.Event()

    # -- what the server asks -----------------------------------------------------------------------------------------
    @property
    def client_is_gone(self) -> bool:
        """Whether the client has closed its connection."""
        return self._client is None or self._client.gone

    @property
    def may_be_tried_again(self) -> bool:
        """Whether everything that the client has sent is still kept, so that it can be sent to another pod."""
        return self._replay is not None

    @property
    def delivered_nothing(self) -> bool:
        """Whether the client has not sent a byte to any child."""
        return not self._sent

    @property
    def may_be_repeated(self) -> bool:
        """Whether all that the client sent is one HTTP request which RFC 9110 (9.2.2) lets a proxy send once more."""
        sent = self._replay or b""
        return SAFE_REQUEST.match(sent) is not None and sent.find(END_OF_HEADERS) + len(END_OF_HEADERS) == len(sent)

    @property
    def received(self) -> bytes:
        """What the client has sent so far, as long as nothing has come back."""
        return bytes(self._replay or b"")

    async def wait_received(self, seconds: float) -> None:
        """Wait until the client has sent something more, has ended its side, or the time is up."""
        self._news.clear()
        await first_of(self._news.wait(), timeout_seconds=seconds)

    async def through(self, child: Upstream, discard_seconds: float) -> Outcome | None:
        """Relay through a child until that ends, or for some time after the client is gone.

        Args:
            discard_seconds: how long the child is read on for a client that is gone. It only hears that nothing more
                is sent, and one that streams and reads nothing would go on for ever.

        Returns:
            How it ended; None if the client is gone and the time was up.

        Raises:
            OSError: the child's port does not accept.
        """
        ended = await first_of(self._through(child), self._gone_for(discard_seconds))
        assert ended is not None  # there is no time limit
        outcome: Outcome | None = ended.result()
        return outcome

    async def _gone_for(self, seconds: float) -> None:
        """Wait until the client has been gone for so long."""
        await self.closed.wait()
        await asyncio.sleep(seconds)

    async def _through(self, child: Upstream) -> Outcome:
        """Connect to a child and relay until its side ends."""
        loop = asyncio.get_running_loop()
        upstream = UpstreamSide(self, self._buffer)
        child.attach(self)  # before it is connected: nobody may take the child for an idle one meanwhile
        try:
            await loop.create_connection(lambda: upstream, child.host, child.port)
            self._upstream, self._child = upstream, child
            child.opened(self)
            self._begin(upstream)
            return await upstream.outcome
        finally:
            child.detach(self)
            if upstream.transport is not None:
                upstream.transport.abort()
            self._upstream = None

    async def finish(self) -> None:
        """Close the client's side after what is still to be written.

        If the client is still sending, a plain close would look like a reset, and the end of the answer would be lost.
        So what it sends is read and dropped for a moment.
        """
        client = self._client
        if client is None or client.gone or client.transport is None:
            return
        if not client.ended:
            _write_eof(client.transport)
            _pause(client.transport, False)
            await first_of(self.closed_or_ended.wait(), timeout_seconds=LINGER_SECONDS)
        client.transport.close()

    def reset(self) -> None:
        """End the client's side with a TCP reset, so that nobody takes it for an orderly end."""
        if self._client is None or self._client.transport is None or self._client.gone:
            return
        reset(self._client.transport)

    def abandon(self) -> None:
        upstream = self._upstream
        if upstream is not None and upstream.transport is not None and not upstream.answered:
            upstream.transport.abort()

    # -- what the two sides tell --------------------------------------------------------------------------------------
    def started(self, client: ClientSide) -> None:
        """Take in the client, which has been accepted."""
        self._client = client

    def from_client(self, count: int) -> None:
        """Pass on what the client has sent, or keep it until there is an upstream."""
        self._traffic.bytes_out += count
        if self._replay is not None:
            self._replay += self._buffer.get()[:count]
            self._news.set()
        upstream = self._upstream
        if upstream is None or upstream.transport is None:
            if self._replay is not None and len(self._replay) >= REPLAY_BYTES:
                self._pause_client(True)
            return
        if self._replay is not None and len(self._replay) > REPLAY_BYTES:
            self._replay = None
        self._sent = True
        if not upstream.transport.is_closing():
            self._buffer.write(upstream.transport, count)

    def from_upstream(self, upstream: UpstreamSide, count: int) -> None:
        """Pass on what the child has sent."""
        if not upstream.answered:
            upstream.answered = True
            self._replay = None
            if self._child is not None:
                self._child.answered(self)
        client = self._client
        if client is None or client.gone or client.transport is None or client.transport.is_closing():
            return  # read on and discard: kubectl up to 1.31 wedges when its client leaves in the middle
        self._traffic.bytes_in += count
        self._buffer.write(client.transport, count)

    def client_ended(self) -> None:
        """Tell the child's side that the client sends no more, and keep reading from it."""
        self.closed_or_ended.set()
        self._news.set()
        if self._upstream is not None:
            _write_eof(self._upstream.transport)

    def client_gone(self) -> None:
        """Let the pod hear that the client is gone, so that it ends its side soon; what it sends goes nowhere."""
        self.closed.set()
        self.client_stalled(False)
        self.client_ended()
        self._client = None  # or both would wait for the collector of cycles, thousands of them after a burst

    def upstream_gone(self, upstream: UpstreamSide) -> None:
        """Read from the client again, after the child's side was closed."""
        if self._upstream is upstream:
            self._pause_client(False)

    def client_stalled(self, stalled: bool) -> None:
        """Read the child only as fast as the client reads (back-pressure)."""
        if self._child is not None:
            self._child.stall(self, stalled)
        if self._upstream is not None:
            _pause(self._upstream.transport, stalled)

    def upstream_stalled(self, stalled: bool) -> None:
        """Read the client only as fast as the child reads."""
        self._pause_client(stalled)

    def _begin(self, upstream: UpstreamSide) -> None:
        """Send what came while there was no upstream, and what an earlier attempt could not deliver."""
        assert upstream.transport is not None
        self._pause_client(False)
        if self._replay:
            self._sent = True
            upstream.transport.write(bytes(self._replay))  # which may pause the client again
        if self._client is None or self._client.ended or self._client.gone:
            _write_eof(upstream.transport)

    def _pause_client(self, paused: bool) -> None:
        if self._client is not None and not self._client.gone:
            _pause(self._client.transport, paused)


def reset(transport: asyncio.WriteTransport) -> None:
    """End a TCP connection with a reset, so that nobody takes it for an orderly end."""
    connection = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _pause(transport: asyncio.Transport | None, paused: bool) -> None:
    if transport is None or transport.is_closing():
        return
    if paused:
        transport.pause_reading()
    else:
        transport.resume_reading()


def _write_eof(transport: asyncio.Transport | None) -> None:
    if transport is not None and not transport.is_closing():
        with contextlib.suppress(OSError):  # the other end may have been reset in the meantime
            transport.write_eof()
