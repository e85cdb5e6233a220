"""What differs between operating systems: an interface, and the choice between the classes that implement it.

The privileged helper has a pair of its own (`kubectl_localize.host.helper`), since it is a lone file.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # `ls` imports this module and needs no socket
    import socket

    from kubectl_localize.host.system.listeners import Listener, Program


class Peers(Protocol):
    """Tells which user is at the other end of an accepted loopback connection."""

    @property
    def available(self) -> bool:
        """Whether the system tells."""

    def uid(self, connection: socket.socket) -> int | None:
        """Return the uid of the process at the other end of an IPv4 TCP connection; None if it is not known."""

    def close(self) -> None:
        """Close what it asks the system through."""


class System(Protocol):
    """An operating system: all that the supervisor has to do in another way on each."""

    @property
    def socket_path_bytes(self) -> int:
        """The longest path of a Unix socket, in bytes."""

    @property
    def descriptors(self) -> str:
        """The directory that leads to open directories by their descriptors' numbers; empty if there is none."""

    @property
    def most_descriptors(self) -> int:
        """The highest limit of open descriptors that the system grants."""

    @property
    def aliases_loopback(self) -> bool:
        """Whether an address of 127.0.0.0/8 has to be added to the loopback interface before it can be bound."""

    def unprivileged_port_start(self) -> int:
        """Return the lowest port that an ordinary user may bind on a loopback address."""

    def start_mark(self, pid: int) -> float | None:
        """Return a mark that tells a process from others that have had its number since the machine was started.

        Setting the clock does not change it.

        Returns:
            The mark; None if there is no such process, or it is a zombie (ended, but its parent has not waited for it).
        """

    def is_ending(self, pid: int) -> bool:
        """Whether a child of ours is ending, or has ended and waits for us to take notice."""

    def pid_namespace(self) -> str:
        """Return what identifies the set of pids that this process sees; empty if the system does not tell.

        Each container has pids of its own, and each boot begins anew. The machine's id alone will not do: two machines
        may be copies of one image.
        """

    def machine_id(self) -> str:
        """Return the id of this machine, which outlives a change of its name; empty if it has none."""

    def boot_ahead(self) -> float:
        """Return by how many seconds boot time is ahead of monotonic time; it grows while the machine sleeps."""

    def peers(self) -> Peers:
        """Return what tells who is at the other end of connections. Close it when done."""

    def listens(self, host: str, port: int) -> bool | None:
        """Whether a process listens there.

        Args:
            host: `localhost` or an IP address.
            port: TCP.

        Returns:
            None if that cannot be known without connecting, such as for an address that is not loopback.
        """

    def listeners(self) -> Sequence[Listener]:
        """Return all TCP sockets of this machine that listen; none if the system does not tell."""

    def program_of(self, listener: Listener) -> Program:
        """Return the program that has one of these sockets open."""

    def sockets_of(self, command: int) -> Collection[int]:
        """Return the inodes of the sockets that the processes of a command have open; none if it is not known.

        Args:
            command: the process group that it was started in.
        """


def this_system(platform: str = sys.platform) -> System:
    """Return the system with this name, as `sys.platform` has it; any but macOS is taken for a Linux."""
    if platform == "darwin":
        from kubectl_localize.host.system.macos import MacOS

        return MacOS()
    from kubectl_localize.host.system.linux import Linux

    return Linux()
