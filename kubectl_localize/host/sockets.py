"""Sockets of this machine: bound to loopback addresses, at Unix paths of any length, and how many there may be."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import HOME_VARIABLE
from kubectl_localize.host.system import System, this_system

# Descriptors that listeners leave free: for commands, the state file, API requests, children and connections.
RESERVED_BY_LISTENERS = 26
# Those of them that connections leave free: a command that connects and a child that is started need that many.
RESERVED_BY_CONNECTIONS = 12
FEWEST_DESCRIPTORS = 48  # a supervisor without any forward takes 20


def descriptor_limit() -> int:
    """How many descriptors this process may have open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def is_reserved(descriptor: int, count: int) -> bool:
    """Whether a new descriptor is among the last `count`: the system gives the lowest number that is free."""
    limit = descriptor_limit()
    return limit != resource.RLIM_INFINITY and descriptor >= limit - count


def too_many_files() -> str:
    """What is wrong with an open that would leave too few descriptors for anything else."""
    return f"too many open files, a process may have {descriptor_limit()} (`ulimit -n` raises that)"


def bind_loopback(address: str, port: int, reserved: int = RESERVED_BY_LISTENERS) -> socket.socket:
    """Return a non-blocking TCP socket bound to the IPv4 address and port, not listening yet.

    Args:
        address: of the loopback network.
        port: 0 for any that is free.
        reserved: how many descriptors it leaves free.

    Raises:
        PermissionError: the port is privileged (below the system's `unprivileged_port_start()`).
        OSError: it cannot be bound; EADDRINUSE if another process listens there, EMFILE if few descriptors are left.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if is_reserved(listener.fileno(), reserved):
            raise OSError(errno.EMFILE, too_many_files())
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def socket_address(path: Path, system: System | None = None) -> Iterator[str]:
    """Yield the address by which a Unix socket at this path is bound or reached, for as long as the block runs.

    The kernel takes about 100 bytes; a context such as an EKS ARN makes longer paths. On Linux those go by
    `/proc/self/fd/N/NAME`, with a descriptor N of the directory that is closed at the end of the block. Elsewhere the
    path is made relative to the current directory. Remove the socket's file by its real path.

    Args:
        path: the socket's path.
        system: whose limits count; this machine's by default.

    Raises:
        LocalizeError: the path is too long and cannot be shortened, or its directory cannot be opened.
    """
    system = system or this_system()
    if _fits(str(path), system):
        yield str(path)
    elif system.descriptors:
        try:
            directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise LocalizeError(f"{path.parent} cannot be opened: {error.strerror}") from error
        try:
            yield f"{system.descriptors}/{directory}/{path.name}"
        finally:
            os.close(directory)
    else:
        relative = os.path.relpath(path)
        if not _fits(relative, system):
            hint = f"set {HOME_VARIABLE} to a shorter directory"
            raise LocalizeError(f"the path {path} is too long for a socket", hint)
        yield relative


class LongSocketPath:
    """Paths by which another process of this user binds a Unix socket in a directory, however long its own path is.

    On Linux they lead through a descriptor of this process, which stays open until `close`.

    Args:
        directory: where the sockets are.
        system: whose limits count; this machine's by default.
    """

    def __init__(self, directory: Path, system: System | None = None) -> None:
        self._directory = directory
        self._system = system or this_system()
        self._descriptor = -1

    def of(self, name: str) -> str:
        """The path of a socket; empty if there is none that is short enough."""
        path = str(self._directory / name)
        if _fits(path, self._system):
            return path
        if not self._system.descriptors:
            return ""
        if self._descriptor < 0:
            self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"{self._system.descriptors.replace('self', str(os.getpid()))}/{self._descriptor}/{name}"

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _fits(address: str, system: System) -> bool:
    return len(os.fsencode(address)) <= system.socket_path_bytes


def raise_descriptor_limit() -> int:
    """Raise this process's soft limit of open descriptors as far as it goes.

    Returns:
        The limit as it was, for children: kubectl and ssh need no more than they had.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = this_system().most_descriptors
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # the limit that we have still serves hundreds of connections
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return soft
