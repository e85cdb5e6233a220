"""What Linux says of itself and of processes, read from the real /proc and from one that lacks things."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubectl_localize.host.started import started_at
from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.linux import Linux

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_it_is_chosen_here() -> None:
    assert this_system() == Linux()


def test_the_first_unprivileged_port_is_the_kernels_setting(tmp_path: Path) -> None:
    assert Linux(tmp_path).unprivileged_port_start() == 1024
    setting = tmp_path / "sys/net/ipv4/ip_unprivileged_port_start"
    setting.parent.mkdir(parents=True)
    for text, expected in (("80\n", 80), ("?", 1024)):
        setting.write_text(text)
        assert Linux(tmp_path).unprivileged_port_start() == expected
    real = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()
    assert Linux().unprivileged_port_start() == int(real)


def test_a_process_has_the_same_start_until_it_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        start = started_at(process.pid, "linux")
        assert start.isdigit()
        assert started_at(process.pid, "linux") == start
        assert started_at(os.getpid(), "linux") != start
        process.kill()
    assert started_at(process.pid, "linux") == ""


@pytest.mark.parametrize("proc", [Path("/proc"), Path("/nonexistent")], ids=str)
def test_a_child_is_ending_from_its_end_on(proc: Path) -> None:
    system = Linux(proc)
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not system.is_ending(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert system.is_ending(process.pid), "it is a zombie"
    assert system.is_ending(process.pid), "it is gone"


def test_a_start_mark_is_of_one_process_and_none_of_one_that_has_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        mark, ours = Linux().start_mark(process.pid), Linux().start_mark(os.getpid())
        assert mark is not None
        assert ours is not None
        assert ours < mark == Linux().start_mark(process.pid)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Linux().start_mark(process.pid) is None, "it is a zombie"
    assert Linux().start_mark(process.pid) is None
    assert Linux().start_mark(-1) is None


def test_where_pids_count_is_a_boot_and_a_namespace_in_it(tmp_path: Path) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = os.readlink("/proc/self/ns/pid")
    assert Linux().pid_namespace() == f"{boot} {namespace}"
    assert Linux(tmp_path).pid_namespace() == ""
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to(namespace)
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text("another-boot\n")
    assert Linux(tmp_path).pid_namespace() == f"another-boot {namespace}"


def test_the_machines_id_is_in_the_first_file_that_can_be_read(tmp_path: Path) -> None:
    files = (tmp_path / "a", tmp_path / "b")
    assert Linux(machine_id_files=files).machine_id() == ""
    files[1].write_text("second\n")
    assert Linux(machine_id_files=files).machine_id() == "second"
    files[0].write_text("first\n")
    assert Linux(machine_id_files=files).machine_id() == "first"


def test_boot_time_is_never_behind() -> None:
    assert Linux().boot_ahead() >= -0.001
    assert abs(Linux().boot_ahead() - Linux().boot_ahead()) < 0.1


def test_open_directories_can_be_entered_where_proc_is_mounted(tmp_path: Path) -> None:
    assert Linux().descriptors == "/proc/self/fd"
    assert Linux(tmp_path).descriptors == ""
