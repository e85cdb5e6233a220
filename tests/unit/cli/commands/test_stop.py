"""What a killed supervisor left is removed, and what a living one has is not."""

from __future__ import annotations

import io
import os
import socket
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from kubectl_localize.cli.commands.stop import stop, sweep
from kubectl_localize.cli.terminal import Console
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import Pidfile, owner
from kubectl_localize.host.sockets import socket_address


@pytest.fixture
def run(tmp_path: Path) -> RunPaths:
    """A supervisor's files; its log is to stay."""
    found = RunPaths(tmp_path / "k")
    found.directory.mkdir()
    for path in (found.pidfile, found.state, found.log):
        path.write_text("{}")
    for path in (found.control, found.helper_socket, found.own_socket):
        with socket.socket(socket.AF_UNIX) as listener, socket_address(path) as address:
            listener.bind(address)
    return found


def test_what_a_killed_one_left_goes_but_the_log(run: RunPaths) -> None:
    assert sweep(run)
    assert os.listdir(run.directory) == [run.log.name]
    assert not sweep(run)
    assert os.listdir(run.directory) == [run.log.name]


def test_nothing_of_a_living_one_goes(run: RunPaths) -> None:
    before = sorted(os.listdir(run.directory))
    held = Pidfile.acquire(run.pidfile)
    assert held is not None
    assert not sweep(run)
    assert sorted(os.listdir(run.directory)) == before
    assert owner(run.pidfile) == os.getpid()
    held.release()


def test_where_there_never_was_one_nothing_is_made(tmp_path: Path) -> None:
    assert not sweep(RunPaths(tmp_path / "k"))
    assert os.listdir(tmp_path) == []


def test_one_that_is_ending_already_is_waited_for(run: RunPaths) -> None:
    held = Pidfile.acquire(run.pidfile)
    assert held is not None
    run.control.unlink()
    out = io.StringIO()
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(stop, run, Console(out))
        assert not wait([stopping], 0.2).done, "it waits for the end"
        held.release()
        assert stopping.result(10)
    assert owner(run.pidfile) is None


def test_a_state_directory_whose_name_is_too_long_holds_nothing(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / ("d" * 300) / "k")
    assert not stop(run, Console(io.StringIO()))
