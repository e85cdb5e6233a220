"""The supervisor as commands meet it on its control socket, with no cluster behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubectl_localize import __version__
from kubectl_localize.host.paths import Paths
from kubectl_localize.model import ServiceKey
from kubectl_localize.protocol import (
    Accepted,
    Ended,
    Event,
    ExposeRequest,
    Failed,
    Released,
    ReleaseRequest,
    Request,
    StopRequest,
    Taken,
    UnexposeRequest,
    event_from_line,
    to_line,
)
from kubectl_localize.supervisor.app import App
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.groups import Groups
from tests.unit.supervisor.loop import until

CART = (ServiceKey("shop", "cart"),)


class Command:
    """One connected command."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, *requests: Request) -> None:
        """Ask for something."""
        self.send_bytes(b"".join(map(to_line, requests)))

    def send_bytes(self, line: bytes) -> None:
        """Send what is perhaps no request of this version."""
        self._writer.write(line)

    async def rest(self) -> list[Event]:
        """All events until the supervisor closes the connection."""
        lines = (await self._reader.read()).splitlines()
        return [event_from_line(line) for line in lines]

    async def close(self) -> None:
        """Go."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Stage:
    """A running supervisor, and commands that come to it."""

    def __init__(self, paths: Paths) -> None:
        self.run = paths.run("k")
        self.app = App(paths, self.run, Groups())
        self.commands: list[Command] = []

    async def command(self) -> Command:
        """One more command."""
        command = Command(*await asyncio.open_unix_connection(str(self.run.control)))
        self.commands.append(command)
        return command


@asynccontextmanager
async def supervisor(tmp_path: Path) -> AsyncIterator[tuple[Stage, Command]]:
    """A supervisor with the command that started it; both end with the test."""
    stage = Stage(Paths(tmp_path))
    stage.run.directory.mkdir()
    ours, theirs = socket.socketpair()
    running = asyncio.create_task(stage.app.run(theirs))
    first = Command(*await asyncio.open_connection(sock=ours))
    stage.commands.append(first)
    await until(stage.run.control.exists)
    try:
        yield stage, first
    finally:
        for command in stage.commands:
            await command.close()
        await running  # nobody holds it any more


async def test_who_comes_too_late_asks_another_supervisor(tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (_, first):
        first.send(StopRequest(), ExposeRequest(CONNECTION, CART))
        events = await first.rest()
        assert events[-2:] == [Taken(), Ended()]
        assert not any(isinstance(event, Failed) for event in events)


@pytest.mark.parametrize(
    ("request_", "kinds"),
    [
        (StopRequest(), [Accepted, Ended]),
        (ReleaseRequest(), [Accepted, Released, Ended]),
        (UnexposeRequest(CART), [Accepted, Failed]),
    ],
)
async def test_what_ends_something_is_accepted_at_once(
    request_: Request, kinds: list[type[Event]], tmp_path: Path
) -> None:
    async with supervisor(tmp_path) as (stage, _):
        command = await stage.command()
        command.send(request_)
        assert [type(event) for event in await command.rest()] == kinds


@pytest.mark.parametrize(
    "change",
    [
        {"op": "new"},
        {"new": 1},
        {"services": [{"namespace": "shop", "name": "cart", "new": 1}]},
        {"connection": {"kubectl": "/usr/bin/kubectl"}},
    ],
)
async def test_a_request_of_another_version_is_answered(change: dict[str, object], tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, _):
        command = await stage.command()
        request = {**json.loads(to_line(ExposeRequest(CONNECTION, CART))), **change}
        command.send_bytes(json.dumps(request).encode() + b"\n")
        [failed] = [event for event in await command.rest() if isinstance(event, Failed)]
        assert f"pid {os.getpid()} runs version {__version__}" in failed.message
        assert failed.hint == "`kubectl localize stop` first"
