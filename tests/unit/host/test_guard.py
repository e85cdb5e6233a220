"""The guard, with real processes: nothing outlives a killed supervisor, and no stranger is hit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from kubectl_localize.host.guard import Guard, apply_line, is_leader_still, signal_group
from kubectl_localize.host.started import started_at
from tests.cluster.commands import wait_until

from .processes import ended, wait_ended

# Starts children in groups of their own, registers all but those called "free", prints the guard's and their pids.
SUPERVISOR = """
import signal, subprocess, sys
from kubectl_localize.host.guard import Guard
guard = Guard.start()
children = []
for kind in sys.argv[1].split(","):
    code = {
        "plain": "import time; print(flush=True); time.sleep(60)",
        "stubborn": "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)",
        "parent": "import os, time; os.fork() or print(flush=True); time.sleep(60)",
        "free": "import time; print(flush=True); time.sleep(60)",
        "removed": "import time; print(flush=True); time.sleep(60)",
    }[kind]
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    child.stdout.readline()
    children.append(child)
    if kind != "free":
        guard.add(child.pid)
    if kind == "removed":
        guard.remove(child.pid)
print(guard.pid, *(child.pid for child in children), flush=True)
if sys.stdin.readline() == "close\\n":
    guard.close()
    print("closed", flush=True)
    sys.stdin.read()
"""


def supervise(kinds: str) -> tuple[subprocess.Popen[str], psutil.Process, list[psutil.Process]]:
    command = [sys.executable, "-c", SUPERVISOR, kinds]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    guard, *children = (psutil.Process(int(pid)) for pid in process.stdout.readline().split())
    return process, guard, children


def finish(process: subprocess.Popen[str], children: list[psutil.Process]) -> None:
    for child in children:
        if child.is_running():
            child.kill()
    process.kill()
    process.communicate()


def wait_begun(guard: psutil.Process) -> None:
    """Wait until the guard has done what it does before it reads: the last of that is to leave its directory."""
    wait_until("guard at work", lambda: guard.cwd() == "/", 10, every_seconds=0.01)


def test_all_children_end_with_a_killed_supervisor() -> None:
    process, guard, children = supervise("plain,stubborn,parent")
    grandchild = children[2].children()[0]
    try:
        before = time.monotonic()
        process.kill()
        assert wait_ended(guard, *children, grandchild) == []
        assert time.monotonic() - before < 1
    finally:
        finish(process, [*children, grandchild])


def test_what_is_not_registered_is_left_alone() -> None:
    process, guard, children = supervise("free,removed,plain")
    try:
        process.kill()
        assert wait_ended(guard, children[2]) == []
        assert not ended(children[0])
        assert not ended(children[1])
    finally:
        finish(process, children)


def test_the_terminals_signals_do_not_end_the_guard() -> None:
    process, guard, children = supervise("plain")
    try:
        wait_begun(guard)
        assert os.getsid(guard.pid) == guard.pid
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            guard.send_signal(number)
        process.kill()
        assert wait_ended(guard, *children) == []
    finally:
        finish(process, children)


def test_an_orderly_end_returns_when_all_have_ended() -> None:
    process, guard, children = supervise("plain,stubborn")
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("close\n")
        process.stdin.flush()
        process_gone = process.stdout.readline()
        assert process_gone == "closed\n"
        assert not psutil.pid_exists(guard.pid)
        assert wait_ended(*children, seconds=1) == []
    finally:
        finish(process, children)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_guard_holds_nothing_open_but_its_pipe() -> None:
    read_end, write_end = os.pipe()
    guard = Guard.start()
    try:
        os.close(write_end)
        # The end of file comes as soon as the guard has closed its copies.
        assert os.read(read_end, 1) == b""
        wait_begun(psutil.Process(guard.pid))
        open_files = {os.readlink(f"/proc/{guard.pid}/fd/{name}") for name in os.listdir(f"/proc/{guard.pid}/fd")}
        assert {name for name in open_files if not name.startswith("pipe:")} <= {"/dev/null"}
    finally:
        guard.close()
        os.close(read_end)
    assert not psutil.pid_exists(guard.pid)


def test_a_dead_guard_is_no_error() -> None:
    guard = Guard.start()
    os.kill(guard.pid, signal.SIGKILL)
    os.waitid(os.P_PID, guard.pid, os.WEXITED | os.WNOWAIT)
    guard.add(os.getpid())
    guard.remove(os.getpid())
    guard.close()


def test_the_protocol_adds_and_removes() -> None:
    groups: dict[int, str] = {}
    for line in ("+10 555", "+11 -", "-10", "-99", "", "+12 7"):
        apply_line(groups, line)
    assert groups == {11: "-", 12: "7"}


def test_only_the_leader_that_was_registered_counts() -> None:
    with (
        subprocess.Popen(["sleep", "60"], start_new_session=True) as leader,
        subprocess.Popen(["sleep", "60"]) as member,
    ):
        start = started_at(leader.pid)
        assert float(start) > 0
        assert is_leader_still(leader.pid, start)
        assert is_leader_still(leader.pid, "-")
        assert not is_leader_still(leader.pid, str(float(start) - 1))
        assert not is_leader_still(member.pid, started_at(member.pid))
        leader.kill()
        member.kill()
    assert not is_leader_still(leader.pid, start)
    assert started_at(leader.pid) == ""


@pytest.mark.parametrize("failure", [PermissionError(1, "EPERM"), ProcessLookupError(3, "ESRCH")])
def test_a_group_of_zombies_which_macos_answers_with_eperm_has_nobody_to_be_ended(failure: OSError) -> None:
    def killpg(pgid: int, number: int) -> None:
        raise failure

    assert not signal_group(1234, signal.SIGTERM, killpg)


def test_a_group_is_signalled() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as leader:
        assert signal_group(leader.pid, 0)
        assert signal_group(leader.pid, signal.SIGTERM)
        assert leader.wait() == -signal.SIGTERM
    assert not signal_group(leader.pid, 0)
