"""What macOS says of itself, of processes and of sockets. Written without a Mac: the first run may correct it."""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kubectl_localize.host.helper import unix_peer_uid
from kubectl_localize.host.sockets import bind_loopback, raise_descriptor_limit
from kubectl_localize.host.started import started_at
from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.macos import MacOS
from tests.cluster.commands import wait_until


@pytest.fixture(autouse=True)
def _mac() -> None:
    """These fail elsewhere, rather than be left out."""
    assert sys.platform == "darwin", "these tests need a Mac"


def test_it_is_chosen() -> None:
    assert this_system() == MacOS()


def test_the_machine_has_an_id_that_stays() -> None:
    machine_id = MacOS().machine_id()
    assert re.fullmatch(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", machine_id)
    assert MacOS().machine_id() == machine_id


def test_boot_time_is_never_behind() -> None:
    assert MacOS().boot_ahead() >= -0.001
    assert abs(MacOS().boot_ahead() - MacOS().boot_ahead()) < 0.1


def test_a_childs_start_and_end() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        start = started_at(process.pid, "darwin")
        assert float(start) > 0
        assert not MacOS().is_ending(process.pid)
        process.kill()
        wait_until("zombie", lambda: MacOS().is_ending(process.pid), 10, every_seconds=0.01)
    assert started_at(process.pid, "darwin") == ""


def test_the_longest_path_of_a_socket() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        name = Path(directory) / ("a" * (MacOS().socket_path_bytes - len(directory) - 1))
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(name))
        with socket.socket(socket.AF_UNIX) as bound, pytest.raises(OSError, match="too long"):
            bound.bind(f"{name}a")


def test_the_user_at_the_other_end_of_a_unix_socket() -> None:
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert unix_peer_uid(one) == os.getuid()


def test_the_descriptor_limit_goes_up() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        assert raise_descriptor_limit() == 256
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(before[1], MacOS().most_descriptors)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_loopback_has_no_other_address_and_low_ports_need_root() -> None:
    with pytest.raises(OSError, match="assign requested address"):
        bind_loopback("127.99.99.99", 0)
    with pytest.raises(PermissionError):
        bind_loopback("127.0.0.1", 81)
