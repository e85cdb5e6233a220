"""Whose connection it is, asked of the real kernel."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_localize.host.system.linux_peers import PeerLookup, messages, owner_uid

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="socket diagnosis is Linux's")

CLIENT = "import socket, sys; c = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); sys.stdin.read()"


@pytest.fixture
def lookup() -> Iterator[PeerLookup]:
    peers = PeerLookup()
    assert peers.available
    yield peers
    peers.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        server.settimeout(10)
        yield server


def test_our_own_connection_is_ours(lookup: PeerLookup, listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert lookup.uid(connection) == os.getuid()


def test_another_users_connection_is_theirs(lookup: PeerLookup, listener: socket.socket, other_uid: int) -> None:
    if not Path("/usr/bin/python3").exists():
        pytest.skip("no interpreter that other users can run")
    command = ["/usr/bin/python3", "-c", CLIENT, str(listener.getsockname()[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, user=other_uid, cwd="/") as process:
        connection, _ = listener.accept()
        with connection:
            assert lookup.uid(connection) == other_uid
        process.communicate()


def test_an_orphan_is_nobodys_although_the_kernel_says_root(lookup: PeerLookup, listener: socket.socket) -> None:
    client = socket.create_connection(listener.getsockname())
    connection, _ = listener.accept()
    with connection:
        client.close()
        assert connection.recv(1) == b""
        assert lookup.uid(connection) is None


def test_a_client_that_speaks_ipv6_to_an_ipv4_address_is_known(lookup: PeerLookup, listener: socket.socket) -> None:
    """Java's way."""
    with socket.socket(socket.AF_INET6) as client:
        client.connect(("::ffff:127.0.0.1", listener.getsockname()[1]))
        connection, _ = listener.accept()
        with connection:
            assert lookup.uid(connection) == os.getuid()


def test_stale_answers_and_strangers_are_passed_over(lookup: PeerLookup, listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection, socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, 4) as stranger:
            netlink = lookup._netlink
            assert netlink is not None
            # An answer that nobody waited for, and a forged one with the next sequence number.
            netlink.send(struct.pack("=IHHII", 72, 20, 1, 77, 0) + struct.pack("=BBBxI", 2, 6, 0, 0) + bytes(48))
            forged = struct.pack("=IHHII", 16 + 72, 20, 0, 1, 0) + bytes(64) + struct.pack("=II", 4242, 1)
            try:
                stranger.sendto(forged, netlink.getsockname())
            except PermissionError:
                assert os.geteuid() != 0  # only root may send to others there
            assert lookup.uid(connection) == os.getuid()


def test_closed_connections_and_other_families_are_unknown(lookup: PeerLookup) -> None:
    left, right = socket.socketpair()
    with left, right:
        assert lookup.uid(left) is None
    with socket.socket(socket.AF_INET) as unconnected:
        assert lookup.uid(unconnected) is None
    lookup.close()
    assert not lookup.available
    lookup.close()


def test_a_question_is_quick(lookup: PeerLookup, listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            before = time.process_time()
            for _ in range(200):
                assert lookup.uid(connection) == os.getuid()
            assert (time.process_time() - before) / 200 < 0.0005


def test_many_connections_at_once_are_told_apart(lookup: PeerLookup, listener: socket.socket) -> None:
    clients = [socket.create_connection(listener.getsockname()) for _ in range(20)]
    accepted = [listener.accept()[0] for _ in clients]
    for client in clients[::2]:
        client.close()
    closed = {connection for connection in accepted if lookup.uid(connection) is None}
    assert len(closed) == 10
    for connection in (*clients, *accepted):
        connection.close()
    assert threading.active_count() >= 1


def test_messages_of_one_datagram_are_taken_apart() -> None:
    message = struct.pack("=IHHII", 16 + 5, 20, 0, 7, 0) + b"abcde"
    data = message + b"\0" * 3 + struct.pack("=IHHII", 16, 3, 0, 8, 0)
    assert messages(data) == [(20, 7, b"abcde"), (3, 8, b"")]
    assert messages(b"") == []
    assert messages(struct.pack("=IHHII", 0, 20, 0, 7, 0)) == []


def test_a_message_without_inode_has_no_owner() -> None:
    assert owner_uid(bytes(64) + struct.pack("=II", 1000, 99)) == 1000
    assert owner_uid(bytes(64) + struct.pack("=II", 0, 0)) is None
    assert owner_uid(bytes(71)) is None
