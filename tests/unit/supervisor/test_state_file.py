"""The state file: written when something has changed, tried again if it could not be."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from kubectl_localize.host.files import is_outdated
from kubectl_localize.host.paths import write_atomic
from kubectl_localize.ls_document import LsDocument, SupervisorItem
from kubectl_localize.supervisor.state_file import LOOKS_BETWEEN_COUNTS, StateFile
from kubectl_localize.timing import Clock
from tests.unit.fakes.reporter import NotingReporter
from tests.unit.supervisor.loop import until

BROKEN = "the state file cannot be written, so `ls` is out of date: Not a directory"


class Source:
    """A supervisor with so many children."""

    def __init__(self) -> None:
        self.changes = 0
        self.reads = 0
        self.children = 0

    def activity(self) -> tuple[int, int]:
        return self.changes, self.reads

    def document(self) -> LsDocument:
        return LsDocument((SupervisorItem("kind-dev", 1, children=self.children),))


class Stage:
    """A state file whose looks the test lets happen one by one."""

    def __init__(self, path: Path) -> None:
        self.source = Source()
        self.reporter = NotingReporter()
        self.written: list[int] = []
        self.looks = 0
        self.full = False
        self._turn = asyncio.Semaphore(0)
        self.file = StateFile(path, self._write, self.source, Clock(lambda: 0.0, self._pause), self.reporter)

    async def look(self, times: int = 1) -> None:
        """Let the file be looked at so often."""
        wanted = self.looks + times
        for _ in range(times):
            self._turn.release()
        await until(lambda: self.looks == wanted)

    async def _pause(self, seconds: float) -> None:
        await self._turn.acquire()
        self.looks += 1

    def _write(self, path: Path, text: str) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomic(path, text)
        self.written.append(LsDocument.from_text(text).supervisors[0].children)


async def test_a_change_is_written_at_the_next_look_and_nothing_while_nothing_happens(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "state.json")
    running = asyncio.create_task(stage.file.run())
    stage.file.update()
    await stage.look(3)
    assert stage.written == [0]
    stage.source.changes, stage.source.children = 1, 7
    await stage.look(2)
    assert stage.written == [0, 7]
    running.cancel()


async def test_counters_wait_for_every_fourth_look(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "state.json")
    running = asyncio.create_task(stage.file.run())
    stage.source.reads, stage.source.children = 1, 5
    await stage.look(LOOKS_BETWEEN_COUNTS - 1)
    await asyncio.sleep(0)
    assert stage.written == []
    await stage.look(2)
    assert stage.written == [5]
    running.cancel()


async def test_a_file_that_cannot_be_replaced_is_marked_until_it_can(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    stage = Stage(path)
    running = asyncio.create_task(stage.file.run())
    stage.file.update()
    await stage.look()
    assert not is_outdated(path)
    stage.full = True
    stage.source.changes, stage.source.children = 1, 7
    await stage.look(2)
    assert is_outdated(path)
    stage.full = False
    await stage.look(2)
    assert stage.written == [0, 7]
    assert not is_outdated(path)
    running.cancel()


async def test_a_file_that_cannot_be_written_is_said_once_and_tried_again(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.write_text("in the way")
    stage = Stage(directory / "state.json")
    running = asyncio.create_task(stage.file.run())
    stage.file.update()
    await stage.look(3)
    assert stage.reporter.warnings == [BROKEN]
    directory.unlink()
    directory.mkdir()
    await stage.look(2)
    assert stage.written == [0]
    stage.file.remove()
    assert not (directory / "state.json").exists()
    running.cancel()
