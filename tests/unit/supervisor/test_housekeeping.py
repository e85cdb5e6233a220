"""What somebody kills or removes while a supervisor runs: its guard, its files, or all of its directory."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from kubectl_localize.host.group_ledger import GroupLedger
from kubectl_localize.host.guard import Guard
from kubectl_localize.host.paths import RunPaths, make_private
from kubectl_localize.host.process import Pidfile, owner
from kubectl_localize.supervisor.housekeeping import Housekeeping
from tests.unit.supervisor.loop import until


class Home:
    """A resident of the directory, who counts how often its files were made anew."""

    def __init__(self, run: RunPaths) -> None:
        self.run = run
        self.remade = 0
        self.gone = False
        self.fails = False

    def misses_socket(self) -> bool:
        return not self.run.control.exists()

    async def remake_files(self) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.run.control.touch()
        self.remade += 1

    def give_way(self) -> None:
        self.gone = True


class Stage:
    """Housekeeping of a supervisor with a child."""

    def __init__(self, root: Path, child: int) -> None:
        self.run = RunPaths(root / "dev")
        make_private(root)
        make_private(self.run.directory)
        self.logs = 0
        pidfile = Pidfile.acquire(self.run.pidfile)
        assert pidfile is not None
        self.guard = Guard.start()
        self.groups = GroupLedger(self.run.groups, self.guard)
        self.groups.add(child)
        self.home = Home(self.run)
        self.run.control.touch()
        self.housekeeping = Housekeeping(self.run, pidfile, self.groups, self._open_log)
        self._open_log()

    def _open_log(self) -> None:
        self.run.log.touch()
        self.logs += 1


@pytest.fixture
def child() -> Iterator[psutil.Process]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield psutil.Process(process.pid)
        process.kill()


@asynccontextmanager
async def keeping(
    root: Path, child: psutil.Process, before: Callable[[RunPaths], object] = lambda run: None
) -> AsyncIterator[Stage]:
    """Housekeeping that runs.

    Args:
        before: what somebody does before it looks for the first time.
    """
    stage = Stage(root / "localize", child.pid)
    before(stage.run)
    task = asyncio.create_task(stage.housekeeping.run(stage.home))
    try:
        yield stage
    finally:
        task.cancel()
        await asyncio.wait((task,))
        stage.groups.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_guard_that_was_killed_or_stopped_is_replaced_and_knows_the_groups(
    number: signal.Signals, tmp_path: Path, child: psutil.Process
) -> None:
    async with keeping(tmp_path, child) as stage:
        os.kill(stage.guard.pid, number)
        await until(lambda: [pid for pid in guards() if pid != stage.guard.pid])
        assert stage.guard.pid not in guards()
        stage.run.groups.unlink()  # which would do the same
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "the other guard has ended it"


def guards() -> list[int]:
    """The guards that are children of this process."""
    pids = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one
            pids += [process.pid] if "be_guard" in " ".join(process.cmdline()) else []
    return pids


def remove_all(run: RunPaths) -> None:
    shutil.rmtree(run.directory.parent)


def remove_directory(run: RunPaths) -> None:
    shutil.rmtree(run.directory)


def remove_pidfile(run: RunPaths) -> None:
    run.pidfile.unlink()


def remove_socket(run: RunPaths) -> None:
    run.control.unlink()


@pytest.mark.parametrize("remove", [remove_all, remove_directory, remove_pidfile, remove_socket])
async def test_what_was_removed_is_made_anew(
    remove: Callable[[RunPaths], None], tmp_path: Path, child: psutil.Process
) -> None:
    async with keeping(tmp_path, child) as stage:
        remove(stage.run)
        await until(lambda: stage.home.remade > 0)
        assert owner(stage.run.pidfile) == os.getpid()
        assert stage.run.directory.stat().st_mode & 0o777 == 0o700
        for path in (stage.run.control, stage.run.log, stage.run.groups):
            assert path.exists(), path
        assert not stage.home.gone


async def test_what_cannot_be_made_anew_is_tried_again(tmp_path: Path, child: psutil.Process) -> None:
    async with keeping(tmp_path, child) as stage:
        stage.home.fails = True
        remove_socket(stage.run)
        await asyncio.sleep(0)
        stage.home.fails = False
        await until(lambda: stage.home.remade > 0)


async def test_a_supervisor_gives_way_to_another_one_that_has_its_directory(
    tmp_path: Path, child: psutil.Process
) -> None:
    others: list[int] = []

    def take(run: RunPaths) -> None:
        run.pidfile.unlink()
        others.append(os.open(run.pidfile, os.O_RDWR | os.O_CREAT))
        fcntl.flock(others[0], fcntl.LOCK_EX)

    async with keeping(tmp_path, child, before=take) as stage:
        await until(lambda: stage.home.gone)
        assert stage.home.remade == 0
        assert os.path.samestat(os.fstat(others[0]), os.stat(stage.run.pidfile)), "theirs is left alone"
    os.close(others[0])
