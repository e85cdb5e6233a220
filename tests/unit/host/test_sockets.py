"""Listening sockets and descriptor limits."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator

import pytest

from kubectl_localize.host.sockets import bind_loopback, raise_descriptor_limit
from kubectl_localize.host.system import this_system


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
