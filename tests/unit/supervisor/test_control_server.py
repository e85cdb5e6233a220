"""The control socket: one JSON object a line, from commands that come, ask and go."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.control_server import REQUEST_BYTES, Client, ControlServer
from tests.unit.supervisor.loop import play, until


class Stage:
    """A server that echoes requests and fails on `fail`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.served: list[dict[str, Any] | None] = []
        self.server = ControlServer(path, self._serve)

    async def _serve(self, client: Client) -> None:
        while request := await client.receive():
            self.served.append(request)
            if request.get("op") == "fail":
                raise LocalizeError("it cannot be done", "do something else")
            if request.get("op") == "break":
                raise TypeError("nobody thought of this")
            client.send("echo", request=request)
        self.served.append(None)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path))


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


async def answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next event."""
    found = json.loads(await reader.readline())
    assert isinstance(found, dict)
    return found


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def test_requests_and_events() -> None:
    async def run() -> None:
        async with listening() as stage:
            assert stat.S_IMODE(stage.path.stat().st_mode) == 0o600
            reader, writer = await stage.connect()
            writer.write(b'{"op":"one"}\n{"op":')
            assert await answer(reader) == {"event": "echo", "request": {"op": "one"}}
            writer.write(b'"two"}\n')
            assert (await answer(reader))["request"] == {"op": "two"}
            assert len(stage.server.clients()) == 1
            await close(writer)
            await until(lambda: stage.served[-1] is None)
            await until(lambda: not stage.server.clients())

    play(run())


def test_an_error_is_the_end_of_what_was_asked_for() -> None:
    async def run() -> None:
        async with listening() as stage:
            reader, writer = await stage.connect()
            writer.write(b'{"op":"fail"}\n')
            assert await answer(reader) == {
                "event": "error",
                "message": "it cannot be done",
                "hint": "do something else",
            }
            assert await reader.read() == b""
            await close(writer)

    play(run())


def test_what_nobody_has_foreseen_is_said_too_and_its_trace_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        async with listening() as stage:
            reader, writer = await stage.connect()
            writer.write(b'{"op":"break"}\n')
            found = await answer(reader)
            assert (found["event"], found["message"]) == ("error", "internal error: nobody thought of this")
            assert "kubectl localize logs" in found["hint"]
            await close(writer)

    play(run())
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("garbage", [b"no JSON\n", b"[1]\n", b"\xff\xfe\n", b"x" * (REQUEST_BYTES + 2)])
def test_who_says_what_is_no_request_is_sent_away_and_the_others_stay(garbage: bytes) -> None:
    async def run() -> None:
        async with listening() as stage:
            reader, writer = await stage.connect()
            other, other_writer = await stage.connect()
            writer.write(garbage)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            other_writer.write(b'{"op":"still here"}\n')
            assert (await answer(other))["request"] == {"op": "still here"}
            await close(writer)
            await close(other_writer)

    play(run())


def test_the_starting_commands_socket_is_adopted() -> None:
    async def run() -> None:
        async with listening() as stage:
            theirs, ours = socket.socketpair()
            await stage.server.adopt(ours)
            reader, writer = await asyncio.open_connection(sock=theirs)
            writer.write(b'{"op":"start"}\n')
            assert (await answer(reader))["request"] == {"op": "start"}
            stage.server.broadcast("change", text="web is Ready")
            assert await answer(reader) == {"event": "change", "text": "web is Ready"}
            await close(writer)

    play(run())


def test_who_does_not_read_does_not_fill_our_memory() -> None:
    async def run() -> None:
        async with listening() as stage:
            _, writer = await stage.connect()
            await until(stage.server.clients)
            for _ in range(200):
                stage.server.broadcast("change", text="x" * 100_000)
            [client] = stage.server.clients()
            assert client._writer.transport.get_write_buffer_size() < 2 * REQUEST_BYTES
            writer.transport.abort()
            await close(writer)

    play(run())


def test_the_socket_goes_and_a_stale_one_is_replaced() -> None:
    async def run() -> None:
        async with listening() as stage:
            reader, writer = await stage.connect()
            await until(stage.server.clients)
            stage.server.stop_listening()
            assert not stage.path.exists()
            writer.write(b'{"op":"still served"}\n')
            assert (await answer(reader))["request"] == {"op": "still served"}
            await stage.server.close()
            assert await reader.read() == b""
            await close(writer)
            stage.path.touch()
            await stage.server.start()
            _, again = await stage.connect()
            await close(again)

    play(run())
