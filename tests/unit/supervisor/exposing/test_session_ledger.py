"""The session ledger: what a later start reads after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import locked
from kubectl_localize.supervisor.exposing.session_ledger import Record, SessionLedger
from kubectl_localize.timing import first_of

PROCESSES = 4
WRITER = """
import asyncio, sys
from pathlib import Path
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger

async def begin_ten():
    directory = Path(sys.argv[1])
    ledger = SessionLedger(directory / "exposures.json", directory / "exposures.lock")
    for number in range(10):
        await ledger.add(f"{sys.argv[2]}-{number}", "shop")

asyncio.run(begin_ten())
"""


def ledger(directory: Path, lock_seconds: float = 30.0) -> SessionLedger:
    return SessionLedger(directory / "exposures.json", directory / "exposures.lock", lock_seconds)


async def test_sessions_come_and_go_and_another_process_reads_them(tmp_path: Path) -> None:
    writer, reader = ledger(tmp_path), ledger(tmp_path)
    assert reader.sessions() == {}
    await writer.add("abc12", "shop")
    await writer.add("xyz98", "other")
    assert reader.sessions() == {"abc12": "shop", "xyz98": "other"}
    await writer.remove("abc12")
    await writer.remove("never-was")
    assert reader.sessions() == {"xyz98": "other"}
    await writer.remove("xyz98")
    assert not (tmp_path / "exposures.json").exists()
    await writer.remove("xyz98")


async def test_what_the_journals_of_a_session_say_is_kept(tmp_path: Path) -> None:
    await ledger(tmp_path).add("abc12", "shop", ["apps/v1 Deployment cart: 2"])
    await ledger(tmp_path).add("xyz98", "other")
    assert ledger(tmp_path).records() == {
        "abc12": Record("shop", ("apps/v1 Deployment cart: 2",)),
        "xyz98": Record("other"),
    }


def test_a_ledger_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "exposures.json").write_text('{"sessions": {"abc12": "shop"}}')
    assert ledger(tmp_path).records() == {"abc12": Record("shop")}


def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with contextlib.ExitStack() as processes:  # each is waited for at the end
        for number in range(PROCESSES):
            command = [sys.executable, "-c", WRITER, str(tmp_path), str(number)]
            processes.enter_context(subprocess.Popen(command))
    assert len(ledger(tmp_path).sessions()) == PROCESSES * 10


async def test_a_stopped_process_that_holds_the_lock_does_not_stop_the_event_loop(tmp_path: Path) -> None:
    with locked(tmp_path / "exposures.lock", 0):
        adding = asyncio.create_task(ledger(tmp_path).add("abc12", "shop"))
        await first_of(adding, timeout_seconds=0.1, owned=False)
        assert not adding.done()
        with pytest.raises(LocalizeError, match="locked by another process"):
            await ledger(tmp_path, lock_seconds=0.05).add("xyz98", "shop")
    await adding
    assert ledger(tmp_path).sessions() == {"abc12": "shop"}


async def test_a_change_whose_caller_was_cancelled_comes_before_the_next_one(tmp_path: Path) -> None:
    sessions = ledger(tmp_path)
    with locked(tmp_path / "exposures.lock", 0):
        adding = asyncio.create_task(sessions.add("abc12", "shop"))
        await asyncio.sleep(0)
        adding.cancel()
        removing = asyncio.create_task(sessions.remove("abc12"))
        with pytest.raises(asyncio.CancelledError):
            await adding
    await removing
    assert sessions.sessions() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sessions": 5}', '{"sessions": ["abc12"]}'])
async def test_a_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "exposures.json").write_text(text)
    assert ledger(tmp_path).sessions() == {}
    await ledger(tmp_path).add("abc12", "shop")
    assert ledger(tmp_path).sessions() == {"abc12": "shop"}


async def test_what_cannot_be_written_is_an_error_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        await ledger(tmp_path / "nowhere").add("abc12", "shop")


@pytest.mark.parametrize("text", ["", "[" * 100_000, '{"sessions": 3}', "\x00"])
async def test_a_damaged_ledger_is_kept_beside_the_new_one(text: str, tmp_path: Path) -> None:
    (tmp_path / "exposures.json").write_text(text)
    assert ledger(tmp_path).sessions() == {}
    await ledger(tmp_path).add("abc12", "shop")
    assert ledger(tmp_path).sessions() == {"abc12": "shop"}
    assert (tmp_path / "exposures.json.broken").read_text() == text
