"""Whose connections are served, on real loopback connections."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.macos import NoPeers
from kubectl_localize.supervisor.traffic.admission import Admission


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's end of a connection, and the accepted one."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as accepted,
    ):
        yield client, accepted


@pytest.mark.parametrize(
    ("uid", "everybody", "objection"),
    [
        (os.getuid(), False, ""),
        (os.getuid() + 1, False, "" if os.getuid() == 0 else "another user"),
        (os.getuid() + 1, True, ""),
    ],
)
def test_this_users_and_roots(
    uid: int, everybody: bool, objection: str, ends: tuple[socket.socket, socket.socket]
) -> None:
    with contextlib.closing(this_system().peers()) as peers:
        said = Admission(peers, uid, everybody=everybody).objection(ends[1])
    assert (objection in said) if objection else said == ""


class Stranger(NoPeers):
    """Tells that every connection belongs to the same user."""

    available = True

    def __init__(self, owner: int | None) -> None:
        self._owner = owner

    def uid(self, connection: socket.socket) -> int | None:
        """See `Peers`."""
        return self._owner


@pytest.mark.parametrize(
    ("owner", "objection"), [(0, ""), (1000, ""), (1001, "another user (uid 1001)"), (None, "before it could be asked")]
)
def test_who_is_told_apart(owner: int | None, objection: str, ends: tuple[socket.socket, socket.socket]) -> None:
    admission = Admission(Stranger(owner), 1000, everybody=False)
    said = admission.objection(ends[1])
    assert (objection in said) if objection else said == ""
    assert Admission(Stranger(owner), 1000, everybody=True).objection(ends[1]) == ""
    assert admission.problem == ""


def test_a_client_that_has_closed_at_once_is_not_taken_for_another_user(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = ends
    client.close()
    with contextlib.closing(this_system().peers()) as peers:
        said = Admission(peers, os.getuid(), everybody=False).objection(accepted)
    assert "before it could be asked" in said
    assert "--allow-other-users" in said


def test_where_the_system_tells_nobody_apart_that_is_said(ends: tuple[socket.socket, socket.socket]) -> None:
    admission = Admission(NoPeers(), os.getuid(), everybody=False)
    assert admission.objection(ends[1]) == ""
    assert "all users of this machine are served" in admission.problem
    assert Admission(NoPeers(), os.getuid(), everybody=True).problem == ""
