"""macOS by its command lines, and by what psutil says alike on every system. The real thing: `make test-macos`."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Sequence

import pytest

from kubectl_localize.host.started import started_at
from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.macos import MacOS, output
from tests.cluster.commands import wait_until

IOREG = """+-o J314sAP  <class IOPlatformExpertDevice, id 0x100000254, registered, matched, active, busy 0>
    {
      "IOPlatformSerialNumber" = "C02XXXXXXXXX"
      "IOPlatformUUID" = "8A1B2C3D-0000-1111-2222-333344445555"
      "IOPolledInterface" = "AppleARMWatchdogTimerHibernateHandler is not serializable"
    }
"""


class Terminal:
    """Notes the commands and answers each with the same words."""

    def __init__(self, answer: str) -> None:
        self.asked: list[Sequence[str]] = []
        self._answer = answer

    def __call__(self, command: Sequence[str]) -> str:
        self.asked.append(command)
        return self._answer


def test_it_is_chosen_by_its_name() -> None:
    assert this_system("darwin") == MacOS()


def test_the_machines_id_is_the_hardwares() -> None:
    terminal = Terminal(IOREG)
    assert MacOS(terminal).machine_id() == "8A1B2C3D-0000-1111-2222-333344445555"
    assert terminal.asked == [("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")]
    assert MacOS(Terminal("")).machine_id() == ""


def test_a_command_that_is_not_there_says_nothing() -> None:
    assert output(["/nonexistent/ioreg"]) == ""
    assert output(["/bin/sh", "-c", "echo said; exit 3"]) == "said\n"


def test_a_loopback_address_has_to_be_added_and_a_low_port_needs_root() -> None:
    assert MacOS().aliases_loopback
    assert MacOS().unprivileged_port_start() == 1024


def test_nobody_knows_whose_a_connection_is_or_who_listens() -> None:
    peers = MacOS().peers()
    assert not peers.available
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with socket.create_connection((host, port)), server.accept()[0] as accepted:
            assert peers.uid(accepted) is None
        assert MacOS().listens(host, port) is None
    peers.close()


def test_a_process_has_the_same_start_until_it_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        start = started_at(process.pid, "darwin")
        assert abs(float(start) - time.time()) < 60
        assert started_at(process.pid, "darwin") == start
        assert " " not in start
        assert started_at(os.getpid(), "darwin") != start
        process.kill()
    assert started_at(process.pid, "darwin") == ""


def test_a_child_is_ending_from_its_end_on() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not MacOS().is_ending(process.pid)
        process.kill()
        wait_until("zombie", lambda: MacOS().is_ending(process.pid), 10, every_seconds=0.01)
        assert process.returncode is None, "nobody has waited for it yet"
    assert MacOS().is_ending(process.pid), "it is gone"


def test_a_start_mark_is_of_one_process_and_none_of_one_that_has_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        mark = MacOS().start_mark(process.pid)
        assert mark is not None
        assert abs(mark - time.time()) < 60
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert MacOS().start_mark(process.pid) is None, "it is a zombie"
    assert MacOS().start_mark(process.pid) is None


@pytest.mark.parametrize("pid", [-1, 2**31 - 1])
def test_what_is_no_process_has_no_start(pid: int) -> None:
    assert started_at(pid, "darwin") == ""
    assert MacOS().start_mark(pid) is None
    assert MacOS().is_ending(pid)
