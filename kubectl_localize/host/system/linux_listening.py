"""What listens on this machine, found out without connecting: by the kernel's tables of sockets (proc_net_tcp(5))."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator

from kubectl_localize.host.system.listeners import Address, Listener, at

LISTEN = "0A"
TABLES = (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6))


def listens(host: str, port: int) -> bool | None:
    """Whether a process listens on the port.

    Args:
        host: `localhost` or an IP address.
        port: TCP.

    Returns:
        None if that cannot be known without connecting: the address is not loopback, or this is no Linux.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
    if not address.is_loopback:
        return None
    found = listeners(port)
    return None if found is None else at(found, address, port) is not None


def listeners(port: int = 0) -> list[Listener] | None:
    """All sockets that listen.

    Args:
        port: only on this one, if it is not 0: then only these lines of the tables are looked at.

    Returns:
        None if this is no Linux.
    """
    found: list[Listener] = []
    for path, family in TABLES:
        try:
            with open(path, encoding="ascii") as table:
                lines = table.readlines()[1:]
        except FileNotFoundError:
            if family == socket.AF_INET:
                return None  # no Linux
            continue
        found += _listening(lines, port, family)
    return found


def _listening(lines: list[str], port: int, family: socket.AddressFamily) -> Iterator[Listener]:
    for line in lines:
        fields = line.split()
        place, _, number = fields[1].partition(":")
        if fields[3] == LISTEN and port in (0, int(number, 16)):
            yield Listener(_address(place, family), int(number, 16), uid=int(fields[7]), inode=int(fields[9]))


def _address(text: str, family: socket.AddressFamily) -> Address:
    """Parse an address as the kernel prints it: 32-bit words in the machine's own byte order."""
    words = [bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    packed = b"".join(words)
    if family == socket.AF_INET:
        return ipaddress.IPv4Address(packed)
    address = ipaddress.IPv6Address(packed)
    return address.ipv4_mapped or address
