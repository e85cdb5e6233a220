"""Which program has a socket open, and which sockets a command has, found out on real processes."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubectl_localize.host.system.linux_listening import listeners
from kubectl_localize.host.system.linux_programs import login, program_of, sockets_of
from kubectl_localize.host.system.listeners import Listener

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")

# Listens, prints its port, and ends when its stdin does; with an argument it has a child do so.
_SERVER = """
import socket, subprocess, sys
if sys.argv[1:]:
    sys.exit(subprocess.run([sys.executable, "-c", sys.argv[1]], start_new_session=True).returncode)
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def serving(*argv: str) -> Iterator[tuple[int, int]]:
    """A server in a process group of its own: that and its port."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()


def on(port: int) -> Listener:
    (found,) = listeners(port) or []
    return found


def test_a_program_is_named_by_its_socket() -> None:
    with serving() as (pid, port):
        found = on(port)
        program = program_of(found)
        assert (program.pid, found.uid, str(found)) == (pid, os.getuid(), f"127.0.0.1:{port}")
        assert str(program) == f"{Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})"


def test_the_first_of_several_processes_with_it_is_named() -> None:
    with serving() as (pid, port):
        socket = on(port)
        with serving(_SERVER) as (parent, other):
            assert program_of(socket).pid == pid
            assert program_of(on(other)).pid != parent, "it is its child's"


def test_one_of_somebody_else_is_known_by_its_owner_only(tmp_path: Path) -> None:
    program = program_of(Listener(on_all(), 80, uid=0, inode=12345), tmp_path)
    assert (program.pid, str(program)) == (0, "a process of root")
    assert login(4_000_000_000) == "user 4000000000"


def on_all() -> ipaddress.IPv4Address:

    return ipaddress.IPv4Address("0.0.0.0")


def test_a_commands_sockets_are_its_childrens_as_well() -> None:
    with serving(_SERVER) as (group, port), serving() as (_, foreign):
        sockets = sockets_of(group)
        assert on(port).inode in sockets
        assert on(foreign).inode not in sockets
    assert sockets_of(group) == set()
