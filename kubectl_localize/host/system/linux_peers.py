"""Which user is at the other end of an accepted loopback connection, by the kernel's socket diagnosis."""

from __future__ import annotations

import errno
import os
import socket
import struct

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_ANY_COOKIE = 0xFFFFFFFF

# struct nlmsghdr: length, type, flags, sequence number, port id.
_HEADER = struct.Struct("=IHHII")
# struct inet_diag_req_v2: family, protocol, extensions, padding, states; then an inet_diag_sockid.
_REQUEST = struct.Struct("=BBBxI")
# struct inet_diag_sockid: ports and addresses in network order, interface, cookie.
_SOCKET_ID = struct.Struct("!HH16s16s")
_SOCKET_ID_REST = struct.Struct("=III")
# struct inet_diag_msg after its sockid (48 bytes): expires, receive queue, send queue, uid, inode.
_MESSAGE_REST = struct.Struct("=IIIII")
_MESSAGE_REST_AT = 4 + 48


class PeerLookup:
    """Asks the kernel over a netlink socket; a question takes about 20 µs (sock_diag(7)).

    Without socket diagnosis (macOS, some containers) `available` is False, and `uid` always returns None.
    """

    def __init__(self) -> None:
        self._netlink = _open_netlink()
        self._sequence = 0

    @property
    def available(self) -> bool:
        """Whether the kernel has socket diagnosis."""
        return self._netlink is not None

    def uid(self, connection: socket.socket) -> int | None:
        """Return the uid of the process at the other end of an accepted IPv4 TCP connection on this machine.

        Returns:
            None if that end is not known, or no process has it open any more (the kernel would call it root's).
        """
        if self._netlink is None or connection.family != socket.AF_INET:
            return None
        try:
            local, remote = connection.getsockname(), connection.getpeername()
            self._sequence = (self._sequence + 1) & 0xFFFFFFFF
            self._netlink.send(_question(self._sequence, remote, local))
            return self._answer()
        except OSError:
            return None

    def close(self) -> None:
        """Close the netlink socket."""
        if self._netlink is not None:
            self._netlink.close()
            self._netlink = None

    def _answer(self) -> int | None:
        """Read the answer with our sequence number; the kernel has put it there before `send` returned."""
        assert self._netlink is not None
        while True:
            try:
                data, (sender, _) = self._netlink.recvfrom(8192)
            except BlockingIOError:
                return None
            if sender != 0:
                continue  # any process may send to a netlink socket; only the kernel counts
            for kind, sequence, payload in messages(data):
                if sequence == self._sequence:
                    return None if kind == _NLMSG_ERROR else owner_uid(payload)


def messages(data: bytes) -> list[tuple[int, int, bytes]]:
    """Return type, sequence number and payload of each netlink message in a datagram."""
    parsed = []
    position = 0
    while position + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, position)
        if length < _HEADER.size:
            break
        parsed.append((kind, sequence, data[position + _HEADER.size : position + length]))
        position += (length + 3) & ~3
    return parsed


def owner_uid(payload: bytes) -> int | None:
    """Return the uid in an inet_diag_msg; None if the socket belongs to no process any more."""
    if len(payload) < _MESSAGE_REST_AT + _MESSAGE_REST.size:
        return None
    _, _, _, uid, inode = _MESSAGE_REST.unpack_from(payload, _MESSAGE_REST_AT)
    # An orphan (closed, in FIN_WAIT or TIME_WAIT) has neither owner nor inode, and shows uid 0.
    return int(uid) if inode else None


def _question(sequence: int, source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """Return a request for exactly the socket whose own end is `source`."""
    body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, _ANY_COOKIE)
    body += _SOCKET_ID.pack(source[1], destination[1], _packed(source[0]), _packed(destination[0]))
    body += _SOCKET_ID_REST.pack(0, _ANY_COOKIE, _ANY_COOKIE)
    return _HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, sequence, 0) + body


def _packed(address: str) -> bytes:
    return socket.inet_aton(address).ljust(16, b"\0")


def _open_netlink() -> socket.socket | None:
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        return None
    try:
        netlink = socket.socket(family, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG)
    except OSError:
        return None
    try:
        netlink.setblocking(False)
        netlink.bind((0, 0))
        # A kernel without inet_diag, or a filter before it, shows by another error than "no such socket".
        netlink.send(_question(0, ("127.0.0.1", 1), ("127.0.0.1", 1)))
        ((kind, _, payload), *_) = messages(netlink.recv(8192))
        if kind == _NLMSG_ERROR and struct.unpack_from("=i", payload)[0] != -errno.ENOENT:
            raise OSError(os.strerror(-struct.unpack_from("=i", payload)[0]))
    except (OSError, ValueError, struct.error):
        netlink.close()
        return None
    return netlink
