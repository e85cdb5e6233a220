"""Listening sockets on loopback addresses, and how many descriptors there may be."""

from __future__ import annotations

import contextlib
import resource
import socket

from kubectl_localize.host.system import this_system


def bind_loopback(address: str, port: int) -> socket.socket:
    """Return a non-blocking TCP socket bound to the IPv4 address and port, not listening yet.

    Raises:
        PermissionError: the port is privileged (below the system's `unprivileged_port_start()`).
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


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open descriptors as far as it goes; return what it was.

    The previous limit is for children: kubectl and ssh sessions need no more than they had.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = this_system().most_descriptors
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # the limit that we have still serves hundreds of connections
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft
