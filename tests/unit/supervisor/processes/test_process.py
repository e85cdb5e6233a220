"""One started process: its pipes, its end, and what a grandchild may hold up."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from kubectl_localize.errors import SpawnError
from kubectl_localize.supervisor.processes.process import GRACE_SECONDS, TAIL_LINES, Spawner
from tests.unit.fakes.groups import Groups
from tests.unit.supervisor.loop import DEADLINE_SECONDS, until


def python(code: str) -> list[str]:
    """A command line that runs Python quickly."""
    return [sys.executable, "-I", "-S", "-c", code]


async def test_output_is_read_to_the_end_line_by_line() -> None:
    groups, lines = Groups(), list[str]()
    code = "import sys; print('out'); sys.stderr.write('one\\ntwo \\nhalf'); sys.exit(3)"
    process = await Spawner(groups, {}).spawn(python(code), lines.append)
    assert await process.stdout.read() == b"out\n"
    assert await process.wait() == 3
    assert lines == ["one", "two", "half"]
    assert list(process.tail) == lines
    assert not process.alive
    assert groups.story == [("add", process.pid), ("remove", process.pid)]


async def test_it_leads_a_session_of_its_own_with_nothing_on_stdin_and_its_own_environment() -> None:
    code = "import os, sys; print(os.getsid(0) == os.getpid(), sys.stdin.read() == '', os.environ['COLOUR'])"
    process = await Spawner(Groups(), {"COLOUR": "green"}).spawn(python(code))
    assert await process.stdout.read() == b"True True green\n"
    await process.wait()


@pytest.mark.parametrize(("environment", "expected"), [({}, b"30\n"), ({"GOGC": "off"}, b"off\n")])
async def test_a_variable_of_ours_gives_way_to_the_users(environment: dict[str, str], expected: bytes) -> None:
    spawner = Spawner(Groups(), environment)
    process = await spawner.spawn(python("import os; print(os.environ['GOGC'])"), variables={"GOGC": "30"})
    assert await process.stdout.read() == expected
    await process.wait()


async def test_it_starts_where_the_user_is_or_in_the_nearest_directory_above_that_is_left(tmp_path: Path) -> None:
    here = tmp_path / "project" / "deep"
    here.mkdir(parents=True)
    spawner = Spawner(Groups(), {}, directory=here)
    seen = []
    for _ in range(3):
        process = await spawner.spawn(python("import os; print(os.getcwd())"))
        seen.append((await process.stdout.read()).decode().strip())
        await process.wait()
        here.rmdir()
        here = here.parent
    assert seen == [str(tmp_path / "project" / "deep"), str(tmp_path / "project"), str(tmp_path)]


async def test_a_full_stderr_does_not_hang_it_and_only_its_end_is_kept() -> None:
    process = await Spawner(Groups(), {}).spawn(
        python("import sys\nfor n in range(50000): sys.stderr.write(f'line {n}\\n')")
    )
    assert await process.wait() == 0
    assert list(process.tail) == [f"line {number}" for number in range(50000 - TAIL_LINES, 50000)]


async def test_term_ends_it_and_its_group() -> None:
    code = "import os, time\npid = os.fork()\nprint(os.getpid(), flush=True) if not pid else None\ntime.sleep(60)"
    process = await Spawner(Groups(), {}).spawn(python(code))
    grandchild = int(await process.stdout.readline())
    await process.stop()
    assert await process.wait() == -signal.SIGTERM
    await until(lambda: _is_gone(grandchild))


async def test_one_that_ignores_term_is_killed_after_a_grace_period() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = await Spawner(Groups(), {}).spawn(python(code))
    await process.stdout.readline()
    began = time.monotonic()
    await process.stop()
    assert await process.wait() == -signal.SIGKILL
    assert GRACE_SECONDS <= time.monotonic() - began < DEADLINE_SECONDS


async def test_one_that_ignores_term_is_killed_by_a_task_that_was_cancelled_as_well() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    process = await Spawner(Groups(), {}).spawn(python(code))
    await process.stdout.readline()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await process.stop()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait((working,))
    assert working.cancelled()
    assert not process.alive
    assert await process.wait() == -signal.SIGKILL


async def test_a_grandchild_that_holds_the_pipes_is_not_waited_for() -> None:
    code = "import os, time\nif os.fork(): os._exit(4)\nos.setsid(); print(os.getpid(), flush=True); time.sleep(60)"
    process = await Spawner(Groups(), {}).spawn(python(code))
    grandchild = int(await process.stdout.readline())
    try:
        assert await process.wait() == 4
        assert await process.stdout.read() == b""
        assert not _is_gone(grandchild)
    finally:
        os.kill(grandchild, signal.SIGKILL)


async def test_spoke_is_set_by_output_or_by_the_end() -> None:
    spawner = Spawner(Groups(), {})
    talker = await spawner.spawn(python("import time; print('x', flush=True); time.sleep(60)"))
    await talker.spoke.wait()
    assert talker.alive
    mute = await spawner.spawn(python("import sys; sys.stderr.write('no')"))
    await mute.spoke.wait()
    assert not mute.alive
    await talker.stop()


@pytest.mark.parametrize(
    ("command", "problem"), [("/nowhere/kubectl", "No such file or directory"), ("/etc", "Permission denied")]
)
async def test_what_cannot_be_started_is_an_error_for_the_user(command: str, problem: str) -> None:
    groups = Groups()
    with pytest.raises(SpawnError, match=f"^{command} cannot be started: {problem}$"):
        await Spawner(groups, {}).spawn([command])
    assert groups.story == []


def _is_gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def test_a_group_that_may_not_be_signalled_any_more_does_not_keep_its_leader_from_being_ended() -> None:
    def refuse(pgid: int, number: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")  # as macOS does of a group of zombies

    process = await Spawner(Groups(), {}, refuse).spawn(python("import time; time.sleep(60)"))
    await process.stop()
    assert await process.wait() == -signal.SIGTERM
