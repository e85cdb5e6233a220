"""The group ledger, with real processes: what outlived a supervisor and its guard is ended, and no stranger is hit."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kubectl_localize.host.group_ledger import GroupLedger, end_recorded_groups
from kubectl_localize.host.guard import Guard
from kubectl_localize.host.started import started_at
from kubectl_localize.host.system import this_system

from .processes import ended, wait_ended


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


@pytest.fixture
def ledger(tmp_path: Path) -> GroupLedger:
    """One whose guard was killed."""
    guard = Guard.start()
    os.kill(guard.pid, signal.SIGKILL)
    os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOWAIT)
    return GroupLedger(tmp_path / "groups", guard)


def test_children_that_outlived_supervisor_and_guard_are_ended_later(
    ledger: GroupLedger, tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    ledger.add(child.pid)
    end_recorded_groups(tmp_path / "groups")
    assert wait_ended(psutil.Process(child.pid), seconds=1) == []
    assert not (tmp_path / "groups").exists()


def test_an_orderly_end_needs_no_guard_and_leaves_no_file(
    ledger: GroupLedger, tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    ledger.add(child.pid)
    ledger.close()
    assert wait_ended(psutil.Process(child.pid), seconds=1) == []
    assert not (tmp_path / "groups").exists()


def test_a_removed_group_is_left_alone(ledger: GroupLedger, tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    ledger.add(child.pid)
    ledger.remove(child.pid)
    end_recorded_groups(tmp_path / "groups")
    assert not ended(psutil.Process(child.pid))


def test_what_may_be_a_stranger_is_left_alone(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    namespace, start = this_system().pid_namespace(), started_at(child.pid)
    for text in (
        f"another boot\n+{child.pid} {start}\n",
        f"{namespace}\n+{child.pid} {float(start) - 1}\n",
        f"{namespace}\n+{child.pid} -\n",
        f"{namespace}\n+nonsense {start}\n",
        "",
    ):
        (tmp_path / "groups").write_text(text)
        end_recorded_groups(tmp_path / "groups")
    end_recorded_groups(tmp_path / "missing")
    assert not ended(psutil.Process(child.pid))


def test_a_ledger_that_cannot_be_written_stops_no_child(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    ledger = GroupLedger(tmp_path / "missing" / "groups", Guard.start())
    ledger.add(child.pid)
    ledger.close()  # the guard has it
    assert wait_ended(psutil.Process(child.pid), seconds=1) == []
