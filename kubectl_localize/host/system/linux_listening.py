"""Whether a process of this machine listens on a port, without connecting to it: the kernel's tables of sockets."""

from __future__ import annotations

import ipaddress
import socket
import sys

LISTEN = "0A"
TABLES = (("/proc/net/tcp", socket.AF_INET), ("/proc/net/tcp6", socket.AF_INET6))


def listens(host: str, port: int) -> bool | None:
    """Whether a process listens on the port, by the kernel's tables (proc_net_tcp(5)).

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
    is_reached = False
    for path, family in TABLES:
        try:
            with open(path, encoding="ascii") as table:
                lines = table.readlines()[1:]
        except FileNotFoundError:
            if family == socket.AF_INET:
                return None  # no Linux
            continue
        is_reached = is_reached or any(_is_reached(address, port, line, family) for line in lines)
    return is_reached


def _is_reached(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, line: str, family: socket.AddressFamily
) -> bool:
    """Whether a line of the table is a listener that a connection to the address and port would reach."""
    fields = line.split()
    if fields[3] != LISTEN:
        return False
    place, _, number = fields[1].partition(":")
    if int(number, 16) != port:
        return False
    bound = _address(place, family)
    if isinstance(bound, ipaddress.IPv6Address) and bound.ipv4_mapped is not None:
        bound = bound.ipv4_mapped
    if bound.is_unspecified:
        return bound.version == address.version or bound.version == 6  # [::] takes IPv4 too unless told otherwise
    return bound == address


def _address(text: str, family: socket.AddressFamily) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Parse an address as the kernel prints it: 32-bit words in the machine's own byte order."""
    words = [bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    packed = b"".join(words)
    return ipaddress.IPv4Address(packed) if family == socket.AF_INET else ipaddress.IPv6Address(packed)
