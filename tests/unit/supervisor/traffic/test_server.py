"""Whose connections are served, on real loopback connections; what the log says of those that are not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator

import pytest

from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.macos import NoPeers
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.relay import Relay
from kubectl_localize.supervisor.traffic.server import Admission, ConnectionServer, RefusalLog
from tests.unit.fakes.peers import NamedPeers
from tests.unit.supervisor.loop import until


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


@pytest.mark.parametrize(
    ("owner", "objection"),
    [(0, ""), (1000, ""), (1001, "another user (uid 1001)"), (None, "before its owner could be checked")],
)
def test_who_is_told_apart(owner: int | None, objection: str, ends: tuple[socket.socket, socket.socket]) -> None:
    admission = Admission(NamedPeers(owner), 1000, everybody=False)
    said = admission.objection(ends[1])
    assert (objection in said) if objection else said == ""
    assert Admission(NamedPeers(owner), 1000, everybody=True).objection(ends[1]) == ""
    assert admission.problem == ""


def test_a_client_that_has_closed_at_once_is_not_taken_for_another_user(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    client, accepted = ends
    client.close()
    with contextlib.closing(this_system().peers()) as peers:
        said = Admission(peers, os.getuid(), everybody=False).objection(accepted)
    assert "before its owner could be checked" in said
    assert "--allow-other-users" in said


def test_where_the_system_tells_nobody_apart_that_is_said(ends: tuple[socket.socket, socket.socket]) -> None:
    admission = Admission(NoPeers(), os.getuid(), everybody=False)
    assert admission.objection(ends[1]) == ""
    assert "every user of this machine is served" in admission.problem
    assert Admission(NoPeers(), os.getuid(), everybody=True).problem == ""


def test_root_is_a_stranger_to_what_only_our_own_ssh_connects_to(ends: tuple[socket.socket, socket.socket]) -> None:
    admission = Admission(NamedPeers(0), 1000, root=False)
    assert "another user (uid 0)" in admission.objection(ends[1])


async def test_a_thousand_connections_that_are_given_up_are_one_line_and_a_sum(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refusals = RefusalLog(interval_seconds=3600.0)
    with caplog.at_level(logging.INFO):
        for _ in range(1000):
            refusals.note(8080, "no Ready pod")
        assert caplog.messages == ["a connection to port 8080 was reset: no Ready pod"]
        refusals.close()
        assert caplog.messages[1:] == ["999 connections were reset, the last one to port 8080: no Ready pod"]


async def test_connections_that_are_given_up_are_summed_up_once_per_interval(caplog: pytest.LogCaptureFixture) -> None:
    refusals = RefusalLog(interval_seconds=0.01)
    with caplog.at_level(logging.INFO):
        refusals.note(8080, "no Ready pod")
        refusals.note(8081, "no Ready pod")
        refusals.note(8082, "every Ready pod refuses it")
        await until(lambda: len(caplog.messages) == 2)
        assert caplog.messages[1] == "2 connections were reset, the last one to port 8082: every Ready pod refuses it"
        refusals.close()
        assert len(caplog.messages) == 2


class Echo(ConnectionServer):
    """Sends the first bytes of a client back, or fails as they say."""

    def __init__(self, refusals: RefusalLog) -> None:
        super().__init__(Admission(NamedPeers(1000), 1000), refusals, ReadBuffer())

    async def carry(self, relay: Relay) -> bool:
        await relay.wait_received(60)
        if relay.received == b"defect":
            raise ValueError("a defect of ours")
        try:
            await relay.closed.wait()
        finally:
            if relay.received == b"fail at the end":
                raise OSError("it cannot be closed")
        return True


async def connect(server: Echo, data: bytes) -> asyncio.StreamReader:
    """A client that has sent its bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.local_port)
    writer.write(data)
    return reader


async def test_a_client_is_not_left_hanging_by_a_defect_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    server = Echo(RefusalLog())
    await server.listen(bind_loopback("127.0.0.1", 0))
    with pytest.raises(ConnectionResetError):
        await (await connect(server, b"defect")).read()
    await until(lambda: not server.traffic.open)
    assert f"a connection to port {server.local_port} failed" in caplog.messages
    assert "ValueError: a defect of ours" in caplog.text
    await server.close()


async def test_one_connection_that_fails_at_its_end_keeps_no_other_from_being_closed() -> None:
    server = Echo(RefusalLog())
    await server.listen(bind_loopback("127.0.0.1", 0))
    clients = [await connect(server, data) for data in (b"1", b"fail at the end", b"2", b"fail at the end", b"3")]
    await until(lambda: server.traffic.bytes_out == 33)
    await server.close()
    for client in clients:
        with pytest.raises(ConnectionResetError):
            await client.read()
    assert (server.listening, server.traffic.open, server.traffic.total) == (False, 0, 5)
