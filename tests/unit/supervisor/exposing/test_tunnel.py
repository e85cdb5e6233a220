"""The way from the pod to this machine: both ends are renewed together, whichever breaks, and it is said why."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubectl_localize.errors import SpawnError, UnauthorizedError
from kubectl_localize.host.ssh import KeyPair
from kubectl_localize.supervisor.exposing.remote_forward import Keys, RemoteForward
from kubectl_localize.supervisor.exposing.tunnel import Tunnel
from kubectl_localize.supervisor.processes.port_forward import PortForwarder, Target
from kubectl_localize.supervisor.processes.process import Process, Spawner
from kubectl_localize.timing import Notifier
from tests.unit.cluster.samples import CONNECTION, LOST, NO_POD
from tests.unit.fakes.groups import Groups
from tests.unit.supervisor.loop import Clock, until

FORWARDING = "echo 'Forwarding from 127.0.0.1:4{number:04} -> 2222'\n"
STAY = "exec sleep 60"
KEYS = Keys(KeyPair("", ""), KeyPair("", ""), Path("/nowhere/ssh-abc12"), Path("/nowhere/known-abc12"))
DENIED = "localize@127.0.0.1: Permission denied (publickey)."


def fail(line: str, code: int) -> str:
    """A program that says why and ends."""
    return f"echo {shlex.quote(line)} >&2; exit {code}"


class Programs:
    """Starts a shell program in the place of whatever is asked for (`ProcessSpawner`).

    Args:
        code: the program; `{number:04}` in it is how many were started before.
    """

    def __init__(self, code: str) -> None:
        self.code = code
        self.failure: Exception | None = None
        self.asked: list[list[str]] = []
        self.started: list[Process] = []
        self._spawner = Spawner(Groups(), os.environ)

    async def spawn(self, argv: Sequence[str], on_error_line: Callable[[str], None] | None = None) -> Process:
        self.asked.append(list(argv))
        if self.failure is not None:
            raise self.failure
        program = ["sh", "-c", self.code.replace("{number:04}", f"{len(self.started):04}")]
        self.started.append(await self._spawner.spawn(program, on_error_line))
        return self.started[-1]


class Rig:
    """A remote forward whose children are what they are told to be; each kubectl has another local port."""

    def __init__(self) -> None:
        self.kubectl = Programs(FORWARDING + STAY)
        self.ssh = Programs(STAY)
        self.reachable = asyncio.Event()
        self.reachable.set()
        self.changed = Notifier()
        self.tunnel = Tunnel(
            Target("shop", "localize-cart-abc12", 2222),
            RemoteForward("abc12", KEYS, ((8080, 40001),)),
            forwarder=PortForwarder(CONNECTION, self.kubectl),
            ssh_spawner=self.ssh,
            probe=self,
            clock=Clock(),
            changed=self.changed,
        )

    @property
    def processes(self) -> list[Process]:
        """All that were started."""
        return [*self.kubectl.started, *self.ssh.started]

    @property
    def ports(self) -> list[int]:
        """The local port that each ssh was told to connect to."""
        return [int(argv[argv.index("-p") + 1]) for argv in self.ssh.asked]

    async def wait_up(self) -> None:
        """Wait until the API server can be reached (`Reachability`)."""
        await self.reachable.wait()

    async def connected(self, times: int) -> None:
        """Wait until it has connected so often, and nothing else runs."""
        await until(lambda: len(self.ssh.started) == times and not self.tunnel.problem)
        assert [process.alive for process in (*self.kubectl.started[:-1], *self.ssh.started[:-1])] == [False] * 2 * (
            times - 1
        )
        assert self.ports == [40000 + number for number in range(times)]
        assert self.tunnel.restarts == times - 1


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    """One that ends."""
    stage = Rig()
    try:
        yield stage
    finally:
        await stage.tunnel.end()
        assert not any(process.alive for process in stage.processes)


async def test_whichever_end_breaks_both_are_renewed() -> None:
    async with rig() as stage:
        stage.tunnel.begin()
        await stage.connected(1)
        os.kill(stage.ssh.started[0].pid, signal.SIGKILL)
        await stage.connected(2)
        os.kill(stage.kubectl.started[1].pid, signal.SIGKILL)
        await stage.connected(3)
        await stage.tunnel.renew()
        await stage.connected(4)


async def test_it_is_said_when_it_connects_and_when_it_breaks() -> None:
    async with rig() as stage:
        told: list[str] = []

        async def listen() -> None:
            while await stage.changed.wait():
                told.append(stage.tunnel.problem)

        listening = asyncio.create_task(listen())
        stage.tunnel.begin()
        await until(lambda: told == [""])
        stage.ssh.code = fail(DENIED, 255)
        os.kill(stage.ssh.started[0].pid, signal.SIGTERM)
        await until(lambda: len(told) >= 4)
        assert told[2:4] == ["", "the exposure pod does not accept the session's key"]
        stage.ssh.code = STAY
        await until(lambda: stage.ssh.started[-1].alive and not stage.tunnel.problem)
        listening.cancel()


@pytest.mark.parametrize(
    ("kubectl", "problem"),
    [
        (fail(NO_POD, 1), 'pods "gone" not found'),
        (FORWARDING + fail(LOST, 1), "lost connection to pod"),
    ],
)
async def test_why_the_port_forward_does_not_come_about_or_breaks(kubectl: str, problem: str) -> None:
    async with rig() as stage:
        stage.kubectl.code = kubectl
        stage.tunnel.begin()
        await until(lambda: stage.tunnel.problem == problem)


async def test_what_cannot_be_started_is_tried_again() -> None:
    async with rig() as stage:
        stage.kubectl.failure = UnauthorizedError("getting credentials")
        stage.tunnel.begin()
        await until(lambda: stage.tunnel.problem == "getting credentials")
        stage.kubectl.failure = SpawnError("no kubectl")
        await until(lambda: stage.tunnel.problem == "no kubectl")
        stage.kubectl.failure = RuntimeError("a defect of ours")
        await until(lambda: stage.tunnel.problem == "internal error: a defect of ours")
        stage.kubectl.failure = None
        await until(lambda: stage.ssh.started and stage.ssh.started[-1].alive)
        assert stage.tunnel.restarts >= 2


async def test_nothing_starts_while_the_server_is_away() -> None:
    async with rig() as stage:
        stage.reachable.clear()
        stage.tunnel.begin()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (stage.kubectl.started, stage.tunnel.restarts) == ([], -1)
        stage.reachable.set()
        await stage.connected(1)


async def test_ending_what_never_began() -> None:
    async with rig() as stage:
        await stage.tunnel.renew()
        await stage.tunnel.end()
