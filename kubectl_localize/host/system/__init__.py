"""What differs between operating systems: one interface, a class for each of them, and the choice between these.

The privileged helper has a pair of its own (`kubectl_localize.host.helper`), since it is a lone file.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # `ls`, which needs no socket, comes by here
    import socket


class Peers(Protocol):
    """Tells which user is at the other end of an accepted loopback connection."""

    @property
    def available(self) -> bool:
        """Whether the system tells at all."""

    def uid(self, connection: socket.socket) -> int | None:
        """The uid of the process at the other end of an IPv4 TCP connection on this machine; None where unknown."""

    def close(self) -> None:
        """Let go of what it asks by."""


class System(Protocol):
    """An operating system, as far as the supervisor has to know which one it is."""

    @property
    def socket_path_bytes(self) -> int:
        """How long a Unix socket's path may be, in bytes."""

    @property
    def descriptors(self) -> str:
        """A directory below which open directories are entered by their number; empty where there is none."""

    @property
    def most_descriptors(self) -> int:
        """The highest limit of open descriptors that is worth asking for."""

    @property
    def aliases_loopback(self) -> bool:
        """Whether an address of 127.0.0.0/8 has to be added to the loopback interface before it can be bound."""

    def unprivileged_port_start(self) -> int:
        """The lowest port that an ordinary user may bind on a loopback address."""

    def started_at(self, pid: int) -> str:
        """A word without spaces for when a process started, to tell it from others of its number.

        Empty where there is no such process; `-` where there is one and the system does not tell.
        """

    def start_mark(self, pid: int) -> float | None:
        """A number that tells a process from others that had its number since the machine was started.

        Setting the clock does not change it. None where there is no such process, or it has ended.
        """

    def is_ending(self, pid: int) -> bool:
        """Whether a child of ours is on its way out, or has ended and waits for us to take notice."""

    def pid_namespace(self) -> str:
        """What tells where pids count from all other such places; empty where that cannot be known.

        Each container has pids of its own, and each boot begins anew, also that of another machine with the same id:
        both may be copies of one image.
        """

    def machine_id(self) -> str:
        """What tells this machine from others, also when it gets another name; empty where it has no such thing."""

    def boot_ahead(self) -> float:
        """By how many seconds boot time is ahead of monotonic time: it grows while the machine sleeps."""

    def peers(self) -> Peers:
        """Who is at the other end of connections. Close it when done."""

    def listens(self, host: str, port: int) -> bool | None:
        """Whether something listens there; None where that cannot be known without connecting.

        Args:
            host: `localhost` or an IP address; whatever is not of this machine's loopback cannot be known.
        """


def this_system(platform: str = sys.platform) -> System:
    """The system with this name, as `sys.platform` has it; whatever is not macOS is taken for a Linux."""
    if platform == "darwin":
        from kubectl_localize.host.system.macos import MacOS

        return MacOS()
    from kubectl_localize.host.system.linux import Linux

    return Linux()
