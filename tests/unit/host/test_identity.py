"""Who and where we are, and whether a process that said so still lives."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace

from kubectl_localize.host.identity import here, lives, pid_namespace
from kubectl_localize.host.process import start_time


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
        started = start_time(child.pid)
        assert started is not None
        assert lives(child.pid, started)
        assert lives(child.pid, started + 1), "start times are known to a second only"
        assert not lives(child.pid, started - 60)
        assert not lives(child.pid, started + 60)
    finally:
        child.kill()
        child.wait()
    assert not lives(child.pid, started)


def test_the_pid_namespace_is_what_the_system_says() -> None:
    if os.path.exists("/proc/self/ns/pid"):
        assert pid_namespace() == os.readlink("/proc/self/ns/pid")
    else:
        assert pid_namespace() == ""
