"""The supervisor as commands meet it on its control socket, with no cluster behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize import __version__
from kubectl_localize.host.paths import Paths
from kubectl_localize.supervisor.app import App
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.groups import Groups
from tests.unit.supervisor.loop import play, until


class Command:
    """One connected command."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, op: str, **fields: Any) -> None:
        """Ask for something."""
        self._writer.write(json.dumps({"op": op, **fields}).encode() + b"\n")

    async def rest(self) -> list[dict[str, Any]]:
        """All events until the supervisor closes the connection."""
        lines = (await self._reader.read()).splitlines()
        return [json.loads(line) for line in lines]

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
        found = Command(*await asyncio.open_unix_connection(str(self.run.control)))
        self.commands.append(found)
        return found


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


def test_who_comes_too_late_asks_another_supervisor(tmp_path: Path) -> None:
    async def run() -> None:
        async with supervisor(tmp_path) as (_, first):
            first.send("stop")
            first.send("expose", order={}, connection={})
            said = [event["event"] for event in await first.rest()]
            assert said[-2:] == ["taken", "ended"]
            assert "error" not in said

    play(run())


@pytest.mark.parametrize(
    ("op", "said"),
    [
        ("stop", ["accepted", "ended"]),
        ("release", ["accepted", "released", "ended"]),
        ("unexpose", ["accepted", "error"]),
    ],
)
def test_what_ends_something_is_accepted_at_once(op: str, said: list[str], tmp_path: Path) -> None:
    async def run() -> None:
        async with supervisor(tmp_path) as (stage, _):
            command = await stage.command()
            command.send(op, services=[{"namespace": "shop", "name": "cart"}])
            assert [event["event"] for event in await command.rest()] == said

    play(run())


SERVICE = {"namespace": "shop", "name": "cart"}
CONNECTION_FIELDS = asdict(CONNECTION)


@pytest.mark.parametrize(
    "request_",
    [
        {"op": "expose", "order": {"services": [SERVICE], "maps": [], "new": 1}, "connection": CONNECTION_FIELDS},
        {"op": "expose", "order": {"services": [SERVICE]}, "connection": CONNECTION_FIELDS},
        {"op": "expose", "order": {"services": [SERVICE], "maps": []}, "connection": {**CONNECTION_FIELDS, "new": 1}},
        {"op": "unexpose", "services": [{**SERVICE, "new": 1}]},
        {"op": "start", "connection": CONNECTION_FIELDS, "selection": {"new": 1}, "options": {}},
        {"op": "new"},
    ],
)
def test_a_request_of_another_version_is_answered(request_: dict[str, Any], tmp_path: Path) -> None:
    async def run() -> None:
        async with supervisor(tmp_path) as (stage, _):
            command = await stage.command()
            command.send(**request_)
            errors = [event for event in await command.rest() if event["event"] == "error"]
            [message] = [event["message"] for event in errors]
            assert f"pid {os.getpid()} runs version {__version__}" in message
            assert errors[0]["hint"] == "`kubectl localize stop` first"

    play(run())
