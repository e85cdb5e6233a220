"""The way from the pod to this machine: both ends are renewed together, whichever breaks, and it is said why."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from kubectl_localize.errors import UnauthorizedError
from kubectl_localize.supervisor.exposing.tunnel import Tunnel
from kubectl_localize.supervisor.processes.process import Process, Spawner, SpawnProcess
from kubectl_localize.timing import Notifier
from tests.unit.cluster.samples import LOST, NO_POD
from tests.unit.fakes.groups import Groups
from tests.unit.supervisor.loop import Clock, play, until

FORWARDING = "echo 'Forwarding from 127.0.0.1:4{number:04} -> 2222'\n"
STAY = "exec sleep 60"
DENIED = "localize@127.0.0.1: Permission denied (publickey)."


def fail(line: str, code: int) -> str:
    """A program that says why and ends."""
    return f"echo {shlex.quote(line)} >&2; exit {code}"


class Rig:
    """A remote forward whose children are what they are told to be; each kubectl has another local port."""

    def __init__(self) -> None:
        self.kubectl = FORWARDING + STAY
        self.ssh = STAY
        self.cannot_start: Exception | None = None
        self.kubectls: list[Process] = []
        self.sshs: list[Process] = []
        self.ports: list[int] = []
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.changed = Notifier()
        self.remote = Tunnel(
            ["kubectl"],
            self._client,
            spawn_kubectl=self._spawn(self.kubectls, lambda: self.kubectl),
            spawn_ssh=self._spawn(self.sshs, lambda: self.ssh),
            reachable=self._reachable,
            clock=Clock(),
            changed=self.changed,
        )

    def _client(self, port: int) -> Sequence[str]:
        self.ports.append(port)
        return ["ssh"]

    async def _reachable(self) -> None:
        await self.reachable.wait()

    def _spawn(self, started: list[Process], code: Callable[[], str]) -> SpawnProcess:
        spawner = Spawner(Groups(), os.environ)

        async def spawn(argv: Sequence[str], on_error_line: Callable[[str], None] | None = None) -> Process:
            if self.cannot_start is not None:
                raise self.cannot_start
            program = ["sh", "-c", code().replace("{number:04}", f"{len(started):04}")]
            started.append(await spawner.spawn(program, on_error_line))
            return started[-1]

        return spawn

    async def connected(self, times: int) -> None:
        """Wait until it has connected so often, and nothing else runs."""
        await until(lambda: len(self.sshs) == times and not self.remote.problem)
        assert [one.alive for one in (*self.kubectls[:-1], *self.sshs[:-1])] == [False] * 2 * (times - 1)
        assert self.ports == [40000 + number for number in range(times)]
        assert self.remote.restarts == times - 1


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """One that ends."""
    found = Rig()
    try:
        yield found
    finally:
        await found.remote.end()
        assert not any(one.alive for one in (*found.kubectls, *found.sshs))


async def test_whichever_end_breaks_both_are_renewed() -> None:
    async with rig() as found:
        found.remote.begin()
        await found.connected(1)
        os.kill(found.sshs[0].pid, signal.SIGKILL)
        await found.connected(2)
        os.kill(found.kubectls[1].pid, signal.SIGKILL)
        await found.connected(3)
        await found.remote.renew()
        await found.connected(4)


async def test_it_is_said_when_it_connects_and_when_it_breaks() -> None:
    async with rig() as found:
        told: list[str] = []

        async def listen() -> None:
            while await found.changed.wait():
                told.append(found.remote.problem)

        listening = asyncio.create_task(listen())
        found.remote.begin()
        await until(lambda: told == [""])
        found.ssh = fail(DENIED, 255)
        os.kill(found.sshs[0].pid, signal.SIGTERM)
        await until(lambda: len(told) >= 4)
        assert told[2:4] == ["", "the exposure pod does not accept the session's key"]
        found.ssh = STAY
        await until(lambda: found.sshs[-1].alive and not found.remote.problem)
        listening.cancel()


def problem_of(kubectl: str) -> str:
    """What it says while kubectl does this."""
    said: list[str] = []

    async def run() -> None:
        async with rig() as found:
            found.kubectl = kubectl
            found.remote.begin()
            await until(lambda: found.remote.problem)
            said.append(found.remote.problem)

    play(run())
    return said[0]


def test_why_the_port_forward_does_not_come_about_or_breaks() -> None:
    assert problem_of(fail(NO_POD, 1)) == 'pods "gone" not found'
    assert problem_of(FORWARDING + fail(LOST, 1)) == "lost connection to pod"


async def test_what_cannot_be_started_is_tried_again() -> None:
    async with rig() as found:
        found.cannot_start = UnauthorizedError("getting credentials")
        found.remote.begin()
        await until(lambda: found.remote.problem == "getting credentials")
        found.cannot_start = FileNotFoundError("no kubectl")
        await until(lambda: found.remote.problem == "no kubectl")
        found.cannot_start = None
        await until(lambda: found.sshs and found.sshs[-1].alive)
        assert found.remote.restarts >= 2


async def test_nothing_starts_while_the_server_is_away() -> None:
    async with rig() as found:
        found.reachable.clear()
        found.remote.begin()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (found.kubectls, found.remote.restarts) == ([], -1)
        found.reachable.set()
        await found.connected(1)


async def test_ending_what_never_began() -> None:
    async with rig() as found:
        await found.remote.renew()
        await found.remote.end()
