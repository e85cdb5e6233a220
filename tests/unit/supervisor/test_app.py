"""The supervisor as commands meet it on its control socket, with a cluster of Services and no pods behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubectl_localize import __version__
from kubectl_localize.host.paths import Paths
from kubectl_localize.host.sockets import socket_address
from kubectl_localize.ls_document import ForwardCounts, ForwardItem, HostsState, LsDocument, Status
from kubectl_localize.model import Options, Selection, ServiceKey
from kubectl_localize.protocol import (
    Accepted,
    Change,
    Ended,
    Event,
    ExposeRequest,
    Failed,
    Ready,
    Released,
    ReleaseRequest,
    Request,
    StartRequest,
    Stopped,
    StopRequest,
    Taken,
    UnexposeRequest,
    event_from_line,
    to_line,
)
from kubectl_localize.supervisor.app import App
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.api_server import ApiServer, service
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

    async def event(self) -> Event:
        """The next event."""
        return event_from_line(await self._reader.readline())

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
        self.run = paths.run(f"dev-1a2b3c4d-{os.getuid()}")
        self.app = App(paths, self.run, Groups())
        self.commands: list[Command] = []

    async def command(self) -> Command:
        """One more command."""
        with socket_address(self.run.control) as address:
            command = Command(*await asyncio.open_unix_connection(address))
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


async def until_outcome(command: Command) -> tuple[list[Event], Event]:
    """All events up to the outcome of a request, and the outcome."""
    events: list[Event] = []
    while not events or not isinstance(events[-1], (Ready, Failed, Released, Stopped, Taken)):
        events.append(await command.event())
    return events, events[-1]


def start_request(api_server: ApiServer, tmp_path: Path, *patterns: str, detach: bool = False) -> StartRequest:
    """Forward Services, with names in a hosts file of the test's."""
    options = Options(hosts_file=str(tmp_path / "hosts"), ip_range="127.94.0.0/16")
    return StartRequest(api_server.connection, Selection(patterns=patterns), options, detach)


@pytest.fixture
def api_server(tmp_path: Path) -> Iterator[ApiServer]:
    """A cluster with one Service."""
    server = ApiServer(tmp_path / "cluster")
    server.has(service("web", server.port))
    yield server
    server.close()


async def test_a_start_forwards_and_the_release_takes_everything_back(api_server: ApiServer, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        first.send(start_request(api_server, tmp_path))
        events, ready = await until_outcome(first)
        assert events[0] == Accepted()
        assert isinstance(ready, Ready), ready
        assert ready.counts == ForwardCounts(forwarded=1)
        assert ready.document is not None
        [own], [web] = ready.document.supervisors, ready.document.items
        assert (own.context, own.pid, own.hosts) == ("dev", os.getpid(), HostsState.WRITTEN)
        assert isinstance(web, ForwardItem)
        assert (web.name, web.status, web.reason) == ("web", Status.WAITING, "no Ready pod")
        assert f"{web.address}\tweb web.shop " in (tmp_path / "hosts").read_text()
        assert LsDocument.from_text(stage.run.state.read_text()) == ready.document
        _, writer = await asyncio.open_connection(web.address, api_server.port)
        writer.transport.abort()
        first.send(ReleaseRequest())
        assert await first.rest() == [Accepted(), Released(ending=True), Ended()]
        assert not (tmp_path / "hosts").exists()
        assert not stage.run.state.exists()


async def test_a_change_in_the_cluster_is_followed_and_told(api_server: ApiServer, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        first.send(start_request(api_server, tmp_path))
        await until_outcome(first)
        api_server.add(service("api", api_server.port))
        assert await first.event() == Change("shop/api: a new Service")
        await until(lambda: "api.shop" in (tmp_path / "hosts").read_text())
        await until(lambda: len(LsDocument.from_text(stage.run.state.read_text()).items) == 2)


async def test_a_selection_of_nothing_fails_and_leaves_nothing(api_server: ApiServer, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        first.send(start_request(api_server, tmp_path, "wep"))
        [*_, failed, ended] = await first.rest()
        assert failed == Failed("no Service matches wep in namespace shop of context dev", "did you mean web?")
        assert ended == Ended()
        assert not stage.run.state.exists()
        assert not (tmp_path / "hosts").exists()


def test_a_supervisor_that_only_forwards_imports_nothing_of_exposing() -> None:
    program = "import sys, kubectl_localize.supervisor.app; print([name for name in sys.modules if 'exposing' in name])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "supervisor.exposing" not in done.stdout


def test_the_proxy_is_not_kept_waiting_for_imports_that_can_come_later() -> None:
    program = "import sys, kubectl_localize.supervisor.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=60)
    supervisor = "kubectl_localize.supervisor"
    later = {f"{supervisor}.forwarding", f"{supervisor}.exposing", "kubectl_localize.cluster.exposing", "h11", "yaml"}
    assert not later & set(done.stdout.split())
