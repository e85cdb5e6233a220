"""Whether somebody listens, found out on real sockets and without a connection."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from kubectl_localize.host.system.linux_listening import listens

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells without a connection")

V4, V6 = socket.AF_INET, socket.AF_INET6


@contextmanager
def listening(host: str, *, only_v6: bool = False) -> Iterator[int]:
    """A socket that listens on a port of its own."""
    with closing(socket.socket(V6 if ":" in host else V4)) as bound:
        if bound.family == V6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        bound.bind((host, 0))
        bound.listen()
        yield bound.getsockname()[1]


@pytest.mark.parametrize(
    ("bound", "asked", "answer"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::1", False),
        ("127.0.0.2", "127.0.0.1", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "127.9.9.9", True),
        ("0.0.0.0", "::1", False),
        ("::1", "::1", True),
        ("::1", "127.0.0.1", False),
        ("::", "::1", True),
        ("::", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "127.0.0.2", False),
    ],
)
def test_who_is_reached(bound: str, asked: str, answer: bool) -> None:
    with listening(bound) as port:
        assert listens(asked, port) is answer
        assert listens(asked, port - 1 or 1) is False or port == 1


def test_it_is_heard_of_as_soon_as_it_goes() -> None:
    with listening("127.0.0.1") as port:
        assert listens("127.0.0.1", port)
    assert listens("127.0.0.1", port) is False


def test_a_connection_is_no_listener() -> None:
    with listening("127.0.0.1") as port, socket.create_connection(("127.0.0.1", port)) as client:
        assert listens("127.0.0.1", client.getsockname()[1]) is False


def test_a_socket_that_is_only_bound_does_not_listen() -> None:
    with closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        assert listens("127.0.0.1", bound.getsockname()[1]) is False


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7", "db.example", "0.0.0.0"])
def test_other_machines_cannot_be_known(host: str) -> None:
    assert listens(host, 80) is None
