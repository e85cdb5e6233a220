"""Where `ssh -R` ends here, on real sockets: what is relayed, what is the proof, and who waits for whom."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.supervisor.exposing.local import HOLD_SECONDS, PROOF_SECONDS, LocalPort, LocalProcess
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from tests.unit.fakes.peers import NamedPeers
from tests.unit.supervisor.loop import Clock, until

NONCE = b"0123456789abcdefghijklmn"


class Stage:
    """A local process that greets, sends back what it gets, and ends when its client ends; and the port before it."""

    def __init__(self, number: int, *, admits: bool) -> None:
        self.clock = Clock()
        self.number = number
        self.refusals = RefusalLog()
        self.port = LocalPort(
            LocalProcess("127.0.0.1", number),
            admission=Admission(NamedPeers(1000 if admits else 1001), 1000, root=False),
            refusals=self.refusals,
            buffer=ReadBuffer(),
            clock=self.clock,
        )
        self.received: list[bytes] = []
        self._process: asyncio.Server | None = None

    async def start(self) -> None:
        self._process = await asyncio.start_server(self._serve, "127.0.0.1", self.number)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello ")
        self.received.append(b"")
        number = len(self.received) - 1
        while data := await reader.read(65536):
            self.received[number] += data
            writer.write(data)
        writer.close()

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port.local_port)
        writer.write(data)
        return reader, writer

    async def ask(self, data: bytes) -> bytes:
        """What comes back for all of a client's data."""
        reader, writer = await self.connect(data)
        writer.write_eof()
        try:
            return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def open_stage(*, running: bool = True, admits: bool = True) -> AsyncIterator[Stage]:
    """One with its port open."""
    with socket.socket() as kept:  # bound and not listening: nobody else gets the number
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        stage = Stage(kept.getsockname()[1], admits=admits)
        await stage.port.listen(bind_loopback("127.0.0.1", 0))
        if running:
            await stage.start()
        try:
            yield stage
        finally:
            await stage.port.close()
            stage.refusals.close()
            await stage.stop()


async def test_bytes_go_both_ways_and_are_counted() -> None:
    async with open_stage() as stage:
        data = b"x" * 3_000_000
        assert await stage.ask(data) == b"hello " + data
        assert await stage.ask(b"") == b"hello "
        traffic = stage.port.traffic
        await until(lambda: traffic.open == 0)
        assert (traffic.total, traffic.bytes_out, traffic.bytes_in) == (2, len(data), len(data) + 12)


async def test_open_connections_are_counted_and_reset_at_the_end() -> None:
    async with open_stage() as stage:
        reader, writer = await stage.connect()
        assert await reader.readexactly(6) == b"hello "
        assert stage.port.traffic.open == 1
        await stage.port.close()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await stage.connect()


async def test_somebody_who_is_not_our_ssh_gets_nothing() -> None:
    async with open_stage(admits=False) as stage:
        with pytest.raises(ConnectionResetError):
            await stage.ask(b"let me in")
        assert stage.received == []


# -- the proof --------------------------------------------------------------------------------------------------------
async def test_the_proof_comes_back_and_goes_no_further() -> None:
    async with open_stage() as stage:
        stage.port.expect(NONCE)
        reader, writer = await stage.connect(NONCE[:10])
        writer.write(NONCE[10:])
        assert await reader.read() == NONCE
        assert stage.port.proven.is_set()
        assert (stage.received, stage.port.traffic.total) == ([], 0)
        writer.close()
        stage.port.expect(b"another nonce")
        assert not stage.port.proven.is_set()


async def test_other_traffic_goes_on_while_the_proof_is_expected() -> None:
    async with open_stage() as stage:
        stage.port.expect(NONCE)
        long, ended_short = b"y" * 24, b"GET /"
        assert await stage.ask(long) == b"hello " + long
        assert await stage.ask(ended_short) == b"hello " + ended_short
        reader, writer = await stage.connect()  # says nothing: it waits to be spoken to
        await asyncio.sleep(0)
        stage.clock.now += PROOF_SECONDS
        assert await reader.readexactly(6) == b"hello "
        writer.close()
        assert not stage.port.proven.is_set()


async def test_afterwards_the_nonce_is_traffic_like_any_other() -> None:
    async with open_stage() as stage:
        stage.port.expect(NONCE)
        stage.port.expect_no_more()
        assert await stage.ask(NONCE) == b"hello " + NONCE
        assert not stage.port.proven.is_set()


# -- while nothing listens --------------------------------------------------------------------------------------------
async def test_a_connection_is_held_until_the_process_is_back() -> None:
    async with open_stage(running=False) as stage:
        asking = asyncio.create_task(stage.ask(b"still there"))
        await until(lambda: stage.port.refused)
        stage.clock.now += HOLD_SECONDS - 0.1
        assert not asking.done()
        await stage.start()
        assert await asking == b"hello still there"
        assert not stage.port.refused


async def test_the_first_place_that_accepts_is_taken() -> None:
    """A dev server may be on one of the two loopback addresses."""
    async with open_stage() as stage, open_stage(running=False) as nobody:
        port = LocalPort(
            LocalProcess("127.0.0.1", nobody.number),
            LocalProcess("127.0.0.1", stage.number),
            admission=Admission(NamedPeers(1000), 1000, root=False),
            refusals=stage.refusals,
            buffer=ReadBuffer(),
            clock=stage.clock,
        )
        await port.listen(bind_loopback("127.0.0.1", 0))
        reader, writer = await asyncio.open_connection("127.0.0.1", port.local_port)
        assert await reader.readexactly(6) == b"hello "
        assert not port.refused
        writer.close()
        await port.close()


async def test_a_connection_that_was_held_for_long_is_reset() -> None:
    async with open_stage(running=False) as stage:
        asking = asyncio.create_task(stage.ask(b"anybody?"))
        await until(lambda: stage.port.refused)
        stage.clock.now += HOLD_SECONDS
        with pytest.raises(ConnectionResetError):
            await asking
        assert (stage.port.refused, stage.port.traffic.open) == (True, 0)


async def test_a_client_that_leaves_is_not_waited_for() -> None:
    async with open_stage(running=False) as stage:
        _, writer = await stage.connect(b"impatient")
        await until(lambda: stage.port.refused)
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()  # a reset: after an orderly end it may still wait for its answer
        await until(lambda: stage.port.traffic.open == 0)
        await stage.start()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        assert stage.received == []


# -- a client that is gone --------------------------------------------------------------------------------------------
async def test_a_process_that_streams_hears_that_its_client_is_gone() -> None:
    ended = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # what it is to meet
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
                await asyncio.sleep(0)
        ended.set()

    async with await asyncio.start_server(stream, "127.0.0.1", 0) as server, open_stage(running=False) as stage:
        stage.port.lead_to(LocalProcess("127.0.0.1", server.sockets[0].getsockname()[1]))
        stage.port.gone_seconds = 0.05
        reader, writer = await stage.connect()
        await reader.readexactly(1000)
        assert not ended.is_set()
        writer.transport.abort()
        await ended.wait()
        await until(lambda: stage.port.traffic.open == 0)
