"""Who and where we are, and whether a process that said so still lives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kubectl_localize.host import identity
from kubectl_localize.host.identity import here, lives, pid_namespace
from kubectl_localize.host.process import start_mark


def test_here_is_this_process_and_stays_the_same() -> None:
    found = here()
    assert (found.uid, found.pid) == (os.getuid(), os.getpid())
    assert lives(found.pid, found.started)
    assert found.login.endswith(f"@{os.uname().nodename}")
    assert found.login[0] != "@"
    assert re.fullmatch(r"[0-9a-f]{16}", found.machine)
    assert here() == found


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
        started = start_mark(child.pid)
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
    found = here()
    boot_time = psutil.boot_time()
    for module in (psutil, getattr(psutil, "_pslinux", psutil)):
        monkeypatch.setattr(module, "boot_time", lambda: boot_time + 3600)
    assert lives(found.pid, found.started)
    assert here() == found


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says where pids count")
def test_where_pids_count_is_a_boot_and_a_namespace_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(identity.BOOT_ID_FILE) as file:
        boot = file.read().strip()
    ours = pid_namespace()
    assert ours == f"{boot} {os.readlink('/proc/self/ns/pid')}"
    (tmp_path / "boot").write_text("another boot\n")
    monkeypatch.setattr(identity, "BOOT_ID_FILE", str(tmp_path / "boot"))
    assert pid_namespace() == ours.replace(boot, "another boot")


def test_where_the_system_does_not_tell_boots_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "BOOT_ID_FILE", str(tmp_path / "none"))
    assert pid_namespace() == ""
