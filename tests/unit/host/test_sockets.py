"""Sockets on loopback addresses and at long paths, and descriptor limits."""

from __future__ import annotations

import errno
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.sockets import (
    RESERVED_BY_CONNECTIONS,
    RESERVED_BY_LISTENERS,
    LongSocketPath,
    bind_loopback,
    is_reserved,
    raise_descriptor_limit,
    socket_address,
)
from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.linux import Linux
from kubectl_localize.host.system.macos import MacOS


def test_a_bound_socket_listens_only_when_told() -> None:
    with bind_loopback("127.64.5.5", 0) as bound:
        address = bound.getsockname()
        assert address[0] == "127.64.5.5"
        assert not bound.getblocking()
        assert not bound.get_inheritable()
        bound.listen()
        with pytest.raises(OSError, match="in use") as caught:
            bind_loopback(*address)
        assert caught.value.errno == errno.EADDRINUSE
        with bind_loopback("127.64.5.6", address[1]) as other:
            other.listen()


def test_a_port_is_free_again_at_once() -> None:
    with bind_loopback("127.64.5.7", 0) as bound:
        bound.listen()
        bound.setblocking(True)
        address = bound.getsockname()
        with socket.create_connection(address) as client:
            bound.accept()[0].close()  # who closes first keeps the port in TIME_WAIT
            assert client.recv(1) == b""
    with bind_loopback(*address):
        pass


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_descriptor_limit_goes_up_and_the_old_one_is_told(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert raise_descriptor_limit() == 256
    most = this_system().most_descriptors
    expected = most if hard == resource.RLIM_INFINITY else min(hard, most)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (expected, hard)
    assert raise_descriptor_limit() == expected


@pytest.fixture
def long_path(tmp_path: Path) -> Path:
    """A socket's path of over 107 bytes, in a directory that exists."""
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    return directory / "control.sock"


def test_a_socket_with_a_long_path_can_be_bound_and_reached(long_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        with socket_address(long_path) as address:
            listener.bind(address)
        listener.listen()
        assert long_path.is_socket()
        with socket_address(long_path) as address:
            client.connect(address)
    with socket_address(Path("/run/x.sock")) as address:
        assert address == "/run/x.sock"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at the open descriptors in /proc")
def test_a_long_path_costs_no_descriptor_once_it_is_used(long_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    with socket_address(long_path):
        assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    with pytest.raises(ConnectionError), socket_address(long_path):
        raise ConnectionError
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="another process reaches our descriptors by /proc")
def test_another_process_can_bind_a_socket_with_a_long_path(long_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    paths = LongSocketPath(long_path.parent)
    bind = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    subprocess.run([sys.executable, "-S", "-c", bind, paths.of(long_path.name)], check=True, cwd="/")
    assert long_path.is_socket()
    paths.close()
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert LongSocketPath(Path("/run")).of("x.sock") == "/run/x.sock"


def test_where_there_is_no_such_path_the_directory_has_to_do(long_path: Path) -> None:
    assert LongSocketPath(long_path.parent, MacOS()).of(long_path.name) == ""


def test_a_long_path_in_a_directory_that_is_not_there_is_an_error(long_path: Path) -> None:
    long_path.parent.rmdir()
    with pytest.raises(LocalizeError, match="cannot be opened: No such file"), socket_address(long_path, Linux()):
        pass


def test_without_proc_a_long_path_is_made_relative_or_refused(long_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(long_path.parent)
    with socket_address(long_path, MacOS()) as address:
        assert address == "control.sock"
    monkeypatch.chdir("/")
    with pytest.raises(LocalizeError, match="too long for a socket"), socket_address(long_path, MacOS()):
        pass


@pytest.mark.parametrize("system", [Linux(), MacOS()])
def test_the_longest_path_of_a_socket_is_the_systems(system: Linux | MacOS) -> None:
    longest = Path("/" + "a" * (system.socket_path_bytes - 1))
    with socket_address(longest, system) as address:
        assert address == str(longest)
    if system.socket_path_bytes == this_system().socket_path_bytes:
        name = Path("/tmp") / ("a" * (system.socket_path_bytes - len("/tmp/")))
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(name))
            name.unlink()
        with socket.socket(socket.AF_UNIX) as bound, pytest.raises(OSError, match="too long"):
            bound.bind(f"{name}a")


def test_listeners_leave_descriptors_for_everything_else(limits: tuple[int, int]) -> None:
    with bind_loopback("127.64.5.8", 0) as first:
        resource.setrlimit(resource.RLIMIT_NOFILE, (first.fileno() + 30, limits[1]))
        bound: list[socket.socket] = []
        with pytest.raises(OSError, match=r"too many open files, a process may have \d+") as caught:  # noqa: PT012
            while True:
                bound.append(bind_loopback("127.64.5.8", 0))
        assert caught.value.errno == errno.EMFILE
        with bind_loopback("127.64.5.8", 0, RESERVED_BY_CONNECTIONS):
            left = [os.open(os.devnull, os.O_RDONLY) for _ in range(RESERVED_BY_LISTENERS - 2)]
        for descriptor in left:
            os.close(descriptor)
        for listener in bound:
            listener.close()


def test_without_a_limit_nothing_is_reserved(limits: tuple[int, int]) -> None:
    if limits[1] != resource.RLIM_INFINITY:
        assert not is_reserved(0, 1)
    assert is_reserved(limits[0] - 1, 1) or limits[0] == resource.RLIM_INFINITY
