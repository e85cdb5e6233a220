"""The control socket: requests, events and answers, from commands that come, ask and go."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubectl_localize import __version__
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import ServiceKey
from kubectl_localize.protocol import (
    Accepted,
    Answer,
    Change,
    CommandWanted,
    Event,
    Failed,
    PrivilegesNeeded,
    ReleaseRequest,
    Request,
    StopRequest,
    UnexposeRequest,
    event_from_line,
    to_line,
)
from kubectl_localize.supervisor.control_server import REQUEST_BYTES, Client, ControlServer
from tests.unit.supervisor.loop import until

FAIL = UnexposeRequest((ServiceKey("shop", "fail"),))
BREAK = UnexposeRequest((ServiceKey("shop", "break"),))
ASK = UnexposeRequest((ServiceKey("shop", "ask"),))


class Peer:
    """A command's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *requests: Request) -> None:
        """Send requests at once."""
        self.writer.write(b"".join(map(to_line, requests)))

    async def event(self) -> Event:
        """The next event."""
        return event_from_line(await self.reader.readline())

    async def close(self) -> None:
        """Go."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Stage:
    """A server that says `Accepted` to each request, fails on FAIL and BREAK, and asks two things on ASK."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clients: list[Client] = []
        self.served: list[Request | None] = []
        self.answers: list[bool] = []
        self.failures: list[LocalizeError] = []
        self.server = ControlServer(path, self)

    async def serve(self, client: Client) -> None:
        self.clients.append(client)
        while (request := await client.receive()) is not None:
            self.served.append(request)
            if request == FAIL:
                raise LocalizeError("it cannot be done", "do something else")
            if request == BREAK:
                raise TypeError("nobody thought of this")
            if request == ASK:
                await self._ask_twice(client)
            client.send(Accepted())
        self.served.append(None)

    async def _ask_twice(self, client: Client) -> None:
        try:
            self.answers += await asyncio.gather(
                client.ask(PrivilegesNeeded(0, True, ())), client.ask(CommandWanted(0, ()))
            )
        except LocalizeError as error:
            self.failures.append(error)

    async def connect(self) -> Peer:
        """One more command."""
        return Peer(*await asyncio.open_unix_connection(str(self.path)))


@asynccontextmanager
async def listening() -> AsyncIterator[Stage]:
    """A server on a socket in a directory with a short name."""
    with tempfile.TemporaryDirectory(prefix="klc", dir="/tmp") as directory:
        stage = Stage(Path(directory) / "control.sock")
        await stage.server.start()
        try:
            yield stage
        finally:
            await stage.server.close()


async def test_requests_come_in_and_events_go_out() -> None:
    async with listening() as stage:
        assert stat.S_IMODE(stage.path.stat().st_mode) == 0o600
        command = await stage.connect()
        line = to_line(StopRequest())
        command.writer.write(line + line[:5])
        assert await command.event() == Accepted()
        command.writer.write(line[5:])
        assert await command.event() == Accepted()
        await command.close()
        await until(lambda: None in stage.served)
        assert stage.served == [StopRequest(), StopRequest(), None]


async def test_an_error_is_the_outcome_of_a_request() -> None:
    async with listening() as stage:
        command = await stage.connect()
        command.send(FAIL)
        assert await command.event() == Failed("it cannot be done", "do something else")
        assert await command.reader.read() == b""
        await command.close()


async def test_what_nobody_has_foreseen_is_said_too_and_its_trace_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening() as stage:
        command = await stage.connect()
        command.send(BREAK)
        failed = await command.event()
        assert isinstance(failed, Failed)
        assert failed.message == "internal error: nobody thought of this"
        assert "kubectl localize logs" in failed.hint
        await command.close()
    assert "Traceback" in caplog.text


async def test_an_answer_goes_to_the_question_that_has_its_number_and_no_other_request_is_one() -> None:
    async with listening() as stage:
        command = await stage.connect()
        command.send(ASK)
        first, second = await command.event(), await command.event()
        assert isinstance(first, PrivilegesNeeded)
        assert isinstance(second, CommandWanted)
        command.send(StopRequest(), Answer(99), Answer(second.question, granted=False), Answer(first.question))
        await until(lambda: stage.served == [ASK, StopRequest()])
        assert stage.answers == [True, False]
        await command.close()


@pytest.mark.parametrize("releases", [False, True])
async def test_a_question_ends_if_the_command_goes(releases: bool) -> None:
    async with listening() as stage:
        command = await stage.connect()
        command.send(ASK)
        await command.event()
        if releases:
            command.send(ReleaseRequest())
        await command.close()
        await until(lambda: stage.failures)
        assert stage.answers == []


async def test_to_let_go_is_heard_while_something_else_is_done() -> None:
    async with listening() as stage:
        command = await stage.connect()
        command.send(ASK)
        question = await command.event()
        assert isinstance(question, PrivilegesNeeded)
        await command.event()
        command.send(ReleaseRequest())
        assert await command.event() == Accepted()
        [client] = stage.clients
        assert client.leaving.is_set()
        await command.close()


@pytest.mark.parametrize(
    "garbage",
    [b"no JSON\n", b"[1]\n", b"\xff\xfe\n", b'{"op":"sing"}\n', b'{"op":"stop","at":1}\n', b"x" * (REQUEST_BYTES + 2)],
)
async def test_who_says_what_is_no_request_is_sent_away_and_the_others_stay(garbage: bytes) -> None:
    async with listening() as stage:
        command, other = await stage.connect(), await stage.connect()
        command.writer.write(garbage)
        with contextlib.suppress(ConnectionResetError):
            lines = (await command.reader.read()).splitlines()
            for failed in map(event_from_line, lines):
                assert isinstance(failed, Failed)
                assert f"pid {os.getpid()} runs version {__version__}" in failed.message
                assert failed.hint == "`kubectl localize stop` first"
        other.send(StopRequest())
        assert await other.event() == Accepted()
        await command.close()
        await other.close()


async def test_the_starting_commands_socket_is_adopted() -> None:
    async with listening() as stage:
        theirs, ours = socket.socketpair()
        await stage.server.adopt(ours)
        command = Peer(*await asyncio.open_connection(sock=theirs))
        command.send(StopRequest())
        assert await command.event() == Accepted()
        stage.server.broadcast(Change("web is Ready"))
        assert await command.event() == Change("web is Ready")
        await command.close()


async def test_who_does_not_read_does_not_fill_our_memory() -> None:
    async with listening() as stage:
        command = await stage.connect()
        await until(lambda: stage.clients)
        for _ in range(200):
            stage.server.broadcast(Change("x" * 100_000))
        closing = asyncio.create_task(stage.server.close())
        assert len(await command.reader.read()) < 3 * REQUEST_BYTES, "the rest was dropped"
        await closing
        await command.close()


async def test_the_socket_goes_and_a_stale_one_is_replaced() -> None:
    async with listening() as stage:
        command = await stage.connect()
        await until(lambda: stage.clients)
        stage.server.stop_listening()
        assert not stage.path.exists()
        command.send(StopRequest())
        assert await command.event() == Accepted()
        await stage.server.close()
        assert await command.reader.read() == b""
        await command.close()
        stage.path.touch()
        await stage.server.start()
        await (await stage.connect()).close()


async def test_a_command_that_reads_nothing_keeps_no_descriptor_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubectl_localize.supervisor.control_server.CLOSE_SECONDS", 0.01)
    ours, theirs = socket.socketpair()
    with theirs:
        client = Client(*await asyncio.open_connection(sock=ours))
        client.send(Change("x" * REQUEST_BYTES))
        await client.close()
        await until(lambda: ours.fileno() == -1)
