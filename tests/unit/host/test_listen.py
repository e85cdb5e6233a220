"""Listening sockets and descriptor limits."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_localize.host.listen import bind_loopback, raise_descriptor_limit, unprivileged_port_start


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


def test_the_first_unprivileged_port_is_the_kernels_setting(tmp_path: Path) -> None:
    setting = tmp_path / "start"
    assert unprivileged_port_start(setting, "linux") == 1024
    setting.write_text("80\n")
    assert unprivileged_port_start(setting, "linux") == 80
    assert unprivileged_port_start(setting, "darwin") == 0
    setting.write_text("?")
    assert unprivileged_port_start(setting, "linux") == 1024


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_descriptor_limit_goes_up_and_the_old_one_is_told(limits: tuple[int, int]) -> None:
    _, hard = limits
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    assert raise_descriptor_limit() == 256
    expected = 1_048_576 if hard == resource.RLIM_INFINITY else min(hard, 1_048_576)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (expected, hard)
    assert raise_descriptor_limit() == expected
