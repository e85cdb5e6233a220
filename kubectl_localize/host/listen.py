"""Listening sockets on loopback addresses, and how many descriptors there may be."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
from pathlib import Path

_PORT_START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_MOST_DESCRIPTORS = 1_048_576
# macOS refuses a soft limit above OPEN_MAX although it calls the hard one unlimited.
_MOST_DESCRIPTORS_MACOS = 10_240


def bind_loopback(address: str, port: int) -> socket.socket:
    """Return a non-blocking TCP socket bound to the IPv4 address and port, not listening yet.

    Raises:
        PermissionError: the port is privileged (below `unprivileged_port_start()`).
        OSError: as it comes; EADDRINUSE where somebody else listens there.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except BaseException:
        listener.close()
        raise
    return listener


def unprivileged_port_start(setting: Path = _PORT_START, platform: str = sys.platform) -> int:
    """Return the lowest port that an ordinary user may bind: the kernel's setting, 1024 where there is none."""
    if platform == "darwin":
        # Since macOS 10.14 only binding to a certain address is still privileged below 1024, and not on every
        # release; the bind itself tells.
        return 0
    try:
        return int(setting.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 1024


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open descriptors as far as it goes; return what it was.

    The previous limit is for children: kubectl and ssh sessions need no more than they had.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_DESCRIPTORS_MACOS if sys.platform == "darwin" else _MOST_DESCRIPTORS
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # the limit that we have still serves hundreds of connections
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft
