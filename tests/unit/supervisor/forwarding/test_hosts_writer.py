"""The loop that writes names: it tries again, waits for public DNS in the background, and never holds anybody up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_localize.host.hosts import render_block
from kubectl_localize.host.identity import user_name
from kubectl_localize.ls_document import HostsState
from kubectl_localize.model import HostsLine, Options, ServiceKey
from kubectl_localize.supervisor.forwarding.dns_names import Claim, Named
from kubectl_localize.supervisor.forwarding.hosts_writer import HostsWriter
from kubectl_localize.supervisor.forwarding.public_names import PublicNames
from kubectl_localize.timing import Clock, Notifier
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.helpers import NotingHelper, StubHelpers
from tests.unit.fakes.reporter import NotingReporter
from tests.unit.supervisor.loop import until

WEB, GITHUB = ServiceKey("shop", "web"), ServiceKey("com", "github")
WEB_NAMED, GITHUB_NAMED = Named(WEB, "127.71.4.19"), Named(GITHUB, "127.71.4.20")


def claims(*keys: ServiceKey) -> list[Claim]:
    """One command selects these Services."""
    return [Claim("shop", frozenset(keys))]


class Dns:
    """Public DNS that answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.asked: list[str] = []
        self.exists: set[str] = set()

    async def exists_publicly(self, name: str) -> bool:
        """Whether a name is in `exists`."""
        self.asked.append(name)
        await self.may_answer.wait()
        return name in self.exists


class Stage:
    """A writer with one connected helper, whose pauses last until the test ends them."""

    def __init__(self, directory: Path, *, hosts: bool = True) -> None:
        self.file = directory / "hosts"
        self.helper = NotingHelper()
        self.helpers = StubHelpers(self.helper)
        self.reporter = NotingReporter()
        self.dns = Dns()
        self.changed = Notifier()
        self.pauses: list[float] = []
        self.resume = asyncio.Event()
        self.writer = HostsWriter(
            CONNECTION,
            replace(Options(), hosts_file=str(self.file), hosts=hosts),
            "dev-1",
            helpers=self.helpers,
            public_names=PublicNames(self.dns.exists_publicly, {"com"}),
            reporter=self.reporter,
            clock=Clock(lambda: 0.0, self._pause),
            changed=self.changed,
        )

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.resume.wait()
        self.resume.clear()

    def names(self) -> set[str]:
        """All names that the helper wrote."""
        return {name for line in self.helper.lines for name in line.names}


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Stage]:
    """The writer's loop, until the end of the block."""
    loop = asyncio.create_task(stage.writer.run())
    try:
        yield stage
    finally:
        loop.cancel()
        await asyncio.wait((loop,))
        await stage.writer.end()


async def test_what_is_forwarded_is_written_and_it_is_known_when(tmp_path: Path) -> None:
    async with running(Stage(tmp_path)) as stage:
        stage.writer.forward([WEB_NAMED], claims(WEB))
        assert stage.helper.lines == (), "nobody waits for the file"
        await stage.writer.settled()
        assert {"web", "web.shop"} <= stage.names()
        assert stage.writer.state is HostsState.WRITTEN
        writes = stage.helper.writes
        stage.writer.forward([WEB_NAMED], claims(WEB))
        await stage.writer.settled()
        assert stage.helper.writes == writes, "nothing has changed"
        stage.writer.forward([], claims(WEB))
        await stage.writer.settled()
        assert stage.helper.lines == ()


async def test_a_write_that_failed_is_tried_again_after_longer_and_longer_pauses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path)
    stage.helper.refuses = True
    async with running(stage):
        stage.writer.forward([WEB_NAMED], claims(WEB))
        await stage.writer.settled()
        assert stage.writer.state is HostsState.DENIED
        for count in (1, 2, 3):
            await until(lambda count=count: len(stage.pauses) == count)  # type: ignore[misc]
            stage.resume.set()
        await until(lambda: len(stage.pauses) == 4)
        assert stage.pauses == [1.0, 2.0, 4.0, 8.0]
        assert stage.writer.problem == "the hosts file is on a read-only file system"
        assert len(caplog.records) == 1, "said once"
        stage.helper.refuses = False
        stage.resume.set()
        await until(lambda: stage.writer.state is HostsState.WRITTEN)
        assert stage.writer.problem == ""
        assert "web.shop" in stage.names()


async def test_a_slow_look_up_holds_up_its_own_name_only(tmp_path: Path) -> None:
    async with running(Stage(tmp_path)) as stage:
        stage.writer.forward([WEB_NAMED, GITHUB_NAMED], claims(WEB, GITHUB))
        await until(lambda: "web.shop" in stage.names())
        assert "github.com" not in stage.names()
        assert "github.com.svc" in stage.names()
        settled = asyncio.create_task(stage.writer.settled())
        await asyncio.sleep(0)
        assert not settled.done(), "who waits for all names waits for DNS"
        stage.dns.may_answer.set()
        await settled
        assert "github.com" in stage.names()
        assert stage.dns.asked == ["github.com"]


async def test_a_name_that_public_dns_has_is_left_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.dns.exists = {"github.com"}
    stage.dns.may_answer.set()
    async with running(stage):
        stage.writer.forward([GITHUB_NAMED], claims(GITHUB))
        await stage.writer.settled()
        assert "github.com" not in stage.names()
        assert "github.com.svc" in stage.names()
        assert stage.writer.names.warnings == ("the name github.com is left alone: public DNS has it",)


async def test_a_write_that_hangs_holds_up_nobody_who_tells_what_is_forwarded(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.helper.may_write.clear()
    async with running(stage):
        stage.writer.forward([WEB_NAMED], claims(WEB))
        await until(lambda: stage.helper.writes == 1)
        stage.writer.forward([GITHUB_NAMED], claims(GITHUB))
        stage.dns.may_answer.set()
        stage.helper.may_write.set()
        await stage.writer.settled()
        assert "github.com" in stage.names(), "what came meanwhile is written next"
        assert "web.shop" not in stage.names()


async def test_a_helper_that_connects_writes_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.helpers.connected = None
    async with running(stage):
        stage.writer.forward([WEB_NAMED], claims(WEB))
        await stage.writer.settled()
        assert stage.writer.state is HostsState.DENIED
        before = stage.changed.count
        stage.helpers.connect(stage.helper)
        await until(lambda: stage.writer.state is HostsState.WRITTEN)
        await until(lambda: stage.changed.count > before)


async def test_a_helper_that_goes_is_told(tmp_path: Path) -> None:
    """`ls` says `hosts: denied` then, and the next command asks for another one."""
    async with running(Stage(tmp_path)) as stage:
        stage.writer.forward([WEB_NAMED], claims(WEB))
        await stage.writer.settled()
        before = stage.changed.count
        stage.helpers.connect(None)
        await until(lambda: stage.changed.count > before)
        assert stage.writer.state is HostsState.DENIED


async def test_without_names_nothing_is_written_and_nobody_asked(tmp_path: Path) -> None:
    async with running(Stage(tmp_path, hosts=False)) as stage:
        stage.writer.forward([GITHUB_NAMED], claims(GITHUB))
        await stage.writer.settled()
        assert (stage.writer.state, stage.helper.writes, stage.dns.asked) == (HostsState.OFF, 0, [])


@pytest.mark.parametrize("refuses", [False, True])
async def test_names_that_somebody_else_took_out_are_written_again_and_it_is_said_once(
    tmp_path: Path, refuses: bool
) -> None:
    stage = Stage(tmp_path)
    stage.writer.forward([WEB_NAMED], claims(WEB))
    assert await stage.writer.tend()
    written = stage.helper.lines
    stage.file.write_text(render_block("dev-1", "dev", written))
    assert [await stage.writer.tend() for _ in range(3)] == [True, True, True]
    assert stage.reporter.changes == []
    stage.file.write_text("127.0.0.1 localhost\n")
    stage.helper.lines, stage.helper.refuses = (), refuses
    assert [await stage.writer.tend() for _ in range(2)] == [True, not refuses]
    assert stage.helper.lines == (() if refuses else written)
    stage.file.write_text(render_block("dev-1", "dev", written))
    await stage.writer.tend()
    again = "they cannot be written again: the hosts file is on a read-only file system"
    assert stage.reporter.changes == [
        f"{stage.file} had lost our names; {again if refuses else 'they are written again'}"
    ]
    assert stage.writer.state is (HostsState.DENIED if refuses else HostsState.WRITTEN)


async def test_another_users_names_are_theirs_until_they_stop(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    theirs = f"lab-{os.getuid() + 1}"
    names = ("web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", f"web.shop.{CONNECTION.context}")
    stage.file.write_text(render_block(theirs, "dev", [HostsLine("127.71.9.9", names)]))
    stage.writer.forward([WEB_NAMED], claims(WEB))
    assert await stage.writer.tend()
    (own,) = stage.names()
    assert own.startswith(f"web.shop.{CONNECTION.context}-")
    (warning,) = stage.writer.names.warnings
    assert f"user {user_name(os.getuid() + 1)} has them; those that end in" in warning
    stage.file.write_text("127.0.0.1 localhost\n")
    assert await stage.writer.tend()
    assert {*names, own} <= stage.names(), "its own names stay: somebody may use them"
    assert stage.writer.names.warnings == ()
