"""One kubectl goes first while credentials are unproven."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kubectl_localize.errors import ForbiddenError, KubectlError, SpawnError, UnauthorizedError, UnreachableError
from kubectl_localize.supervisor.access import Access
from kubectl_localize.supervisor.processes.credential_gate import CredentialGate
from kubectl_localize.supervisor.processes.process import Process, Spawner
from kubectl_localize.timing import Notifier
from tests.unit.fakes.groups import Groups
from tests.unit.supervisor.loop import until
from tests.unit.supervisor.processes.test_process import python

LIVES = "import time; print('{}', flush=True); time.sleep(60)"
SILENT = "import time; time.sleep(60)"
UNAUTHORIZED = "import sys; sys.exit('error: You must be logged in to the server (Unauthorized)')"


class Stage:
    """A gate, and what it has started."""

    def __init__(self) -> None:
        self.access = Access(Notifier())
        self.gate = CredentialGate(Spawner(Groups(), os.environ), self.access)
        self.started: list[Process] = []
        self.lines: list[str] = []

    async def spawn(self, command: list[str]) -> Process:
        process = await self.gate.spawn(command, self.lines.append)
        self.started.append(process)
        return process

    def later(self, command: list[str]) -> asyncio.Task[Process]:
        return asyncio.create_task(self.spawn(command))

    async def end(self) -> None:
        await asyncio.gather(*(process.stop() for process in self.started))


def waits_for(path: Path) -> list[str]:
    """A process that speaks once a file is there."""
    return python(f"import os, time\nwhile not os.path.exists({str(path)!r}): time.sleep(0.005)\n" + LIVES)


async def test_the_others_wait_until_the_first_has_spoken(tmp_path: Path) -> None:
    stage = Stage()
    first = await stage.spawn(waits_for(tmp_path / "logged-in"))
    others = [stage.later(python(LIVES)) for _ in range(3)]
    await asyncio.wait(others, timeout=0.1)
    assert stage.started == [first]
    (tmp_path / "logged-in").touch()
    await asyncio.gather(*others)
    await asyncio.gather(*[stage.later(python(SILENT)) for _ in range(2)])
    assert len(stage.started) == 6
    await stage.end()


async def test_one_that_fails_proves_nothing_and_the_next_goes_first(tmp_path: Path) -> None:
    stage = Stage()
    await stage.spawn(python(UNAUTHORIZED))
    second = await stage.spawn(waits_for(tmp_path / "logged-in"))
    third = stage.later(python(LIVES))
    await asyncio.wait((third,), timeout=0.1)
    assert not third.done()
    assert second.alive
    (tmp_path / "logged-in").touch()
    await third
    assert stage.lines == ["error: You must be logged in to the server (Unauthorized)"]
    await stage.end()


async def test_unauthorized_closes_the_gate_again(tmp_path: Path) -> None:
    stage = Stage()
    await stage.spawn(python(LIVES))
    refused = await stage.spawn(python(UNAUTHORIZED))
    await refused.wait()
    await stage.spawn(waits_for(tmp_path / "logged-in"))
    waiting = stage.later(python(LIVES))
    await asyncio.wait((waiting,), timeout=0.1)
    assert not waiting.done()
    (tmp_path / "logged-in").touch()
    await waiting
    await stage.end()


async def test_requests_go_first_together_and_port_forwards_wait_for_an_answer() -> None:
    stage = Stage()
    answered = asyncio.Event()

    async def request() -> None:
        async with stage.gate.request():
            await answered.wait()

    requests = [asyncio.create_task(request()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting = stage.later(python(LIVES))
    await asyncio.wait((waiting,), timeout=0.1)
    assert stage.started == []
    answered.set()
    await asyncio.gather(*requests, waiting)
    await stage.spawn(python(SILENT))
    assert len(stage.started) == 2, "an answer has proven the credentials"
    await stage.end()


async def test_requests_wait_for_a_port_forward_that_goes_first(tmp_path: Path) -> None:
    stage = Stage()
    with pytest.raises(UnauthorizedError):
        async with stage.gate.request():
            raise UnauthorizedError("the plugin failed")
    await stage.spawn(waits_for(tmp_path / "logged-in"))
    admitted = asyncio.Event()

    async def request() -> None:
        async with stage.gate.request():
            admitted.set()

    requesting = asyncio.create_task(request())
    await asyncio.wait((requesting,), timeout=0.05)
    assert not admitted.is_set()
    (tmp_path / "logged-in").touch()
    await requesting
    await stage.end()


@pytest.mark.parametrize(
    ("error", "proven"),
    [(ForbiddenError("no"), True), (UnauthorizedError("no"), False), (UnreachableError("away"), False)],
)
async def test_what_a_failed_request_proves(tmp_path: Path, error: KubectlError, proven: bool) -> None:
    stage = Stage()
    with pytest.raises(KubectlError):
        async with stage.gate.request():
            raise error
    await stage.spawn(waits_for(tmp_path / "logged-in"))
    second = stage.later(python(LIVES))
    await asyncio.wait((second,), timeout=5.0 if proven else 0.1)
    assert second.done() == proven
    (tmp_path / "logged-in").touch()
    await second
    await stage.end()


async def test_one_that_cannot_be_started_leaves_the_gate_open_for_the_next() -> None:
    stage = Stage()
    with pytest.raises(SpawnError):
        await stage.spawn(["/nowhere/kubectl"])
    process = await stage.spawn(python(LIVES))
    await until(process.spoke.is_set)
    await stage.end()


async def test_one_that_is_given_up_while_it_waits_lets_the_next_in(tmp_path: Path) -> None:
    stage = Stage()
    await stage.spawn(waits_for(tmp_path / "logged-in"))
    waiting = stage.later(python(LIVES))
    await asyncio.wait((waiting,), timeout=0.05)
    waiting.cancel()
    await asyncio.wait((waiting,))
    (tmp_path / "logged-in").touch()
    await stage.spawn(python(LIVES))
    assert len(stage.started) == 2
    await stage.end()
