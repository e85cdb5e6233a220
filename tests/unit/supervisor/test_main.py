"""The supervisor's process, up to where it serves."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from kubectl_localize.host.paths import HOME_VARIABLE, Paths
from kubectl_localize.host.process import module_argv
from kubectl_localize.protocol import Failed, event_from_line


@pytest.mark.parametrize("file", ["supervisor.pid", "supervisor.log"])
def test_what_it_cannot_write_is_told_to_the_command_that_started_it(tmp_path: Path, file: str) -> None:
    directory = Paths(tmp_path).run("k").directory
    (directory / file).mkdir(parents=True)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        done = subprocess.run(
            module_argv("kubectl_localize.supervisor", str(theirs.fileno()), "k"),
            env={**os.environ, HOME_VARIABLE: str(tmp_path)},
            pass_fds=[theirs.fileno()],
            capture_output=True,
            check=False,
        )
        event = event_from_line(ours.recv(65536))
    assert isinstance(event, Failed)
    assert event.message == f"the supervisor cannot write to {directory}: Is a directory"
    assert HOME_VARIABLE in event.hint
    assert (done.returncode, done.stderr) == (1, b"")


def test_too_few_open_files_are_told_to_the_command_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "k").mkdir()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = module_argv("kubectl_localize.supervisor", str(theirs.fileno()), "k")
        done = subprocess.run(
            ["sh", "-c", 'ulimit -n 24; exec "$@"', "sh", *argv],
            env={**os.environ, HOME_VARIABLE: str(tmp_path)},
            pass_fds=[theirs.fileno()],
            capture_output=True,
            check=False,
        )
        event = event_from_line(ours.recv(65536))
    assert isinstance(event, Failed)
    assert event.message.startswith("a process may have only 24 open files here")
    assert (done.returncode, done.stderr) == (1, b"")
    assert list((tmp_path / "k").iterdir()) == []
