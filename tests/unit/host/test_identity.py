"""Who and where we are, and whether a process that said so still lives."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace

import psutil
import pytest

from kubectl_localize.host.identity import here, lives
from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.macos import MacOS


def test_here_is_this_process_and_stays_the_same() -> None:
    identity = here()
    assert (identity.uid, identity.pid) == (os.getuid(), os.getpid())
    assert lives(identity.pid, identity.started)
    assert identity.login.endswith(f"@{os.uname().nodename}")
    assert identity.login[0] != "@"
    assert re.fullmatch(r"[0-9a-f]{16}", identity.machine)
    assert here() == identity


def test_another_process_of_the_machine_differs_only_in_pid_and_start() -> None:
    code = "from kubectl_localize.host.identity import here; print(here())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    numbers = re.search(r"pid=(\d+), started=([\d.]+)", said)
    assert numbers is not None
    theirs = replace(here(), pid=int(numbers[1]), started=float(numbers[2]))
    assert said.strip() == repr(theirs)
    assert theirs.pid != os.getpid()
    assert not lives(theirs.pid, theirs.started)


def test_a_pid_that_another_process_has_by_now_is_not_the_one_that_is_meant() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        started = this_system().start_mark(child.pid)
        assert started is not None
        assert lives(child.pid, started)
        assert not lives(child.pid, started - 1)
        assert not lives(child.pid, started + 1)
    finally:
        child.kill()
        child.wait()
    assert not lives(child.pid, started)


def test_setting_the_clock_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel works the boot time out from the wall clock, and start times in seconds hang on it."""
    identity = here()
    boot_time = psutil.boot_time()
    for module in (psutil, getattr(psutil, "_pslinux", psutil)):
        monkeypatch.setattr(module, "boot_time", lambda: boot_time + 3600)
    assert lives(identity.pid, identity.started)
    assert here() == identity


@dataclass(frozen=True)
class Elsewhere(MacOS):
    """A machine of another kind, or without an id of its own."""

    id: str = ""

    def machine_id(self) -> str:
        return self.id


def test_machine_and_pid_namespace_are_what_the_system_says() -> None:
    first, same, other = (here(Elsewhere(id=name)) for name in ("A", "A", "B"))
    assert first == same
    assert first.machine != other.machine
    assert first.pid_namespace == ""
    assert here(Elsewhere()).machine == hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:16]
    assert here().pid_namespace == this_system().pid_namespace()
