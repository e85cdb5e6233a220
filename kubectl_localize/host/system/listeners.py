"""What listens on this machine: addresses, ports, and the programs behind them; values and pure questions on them."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Program:
    """A process that listens.

    Args:
        name: what the system calls it, at most 15 characters on Linux: `node`.
        pid: its number; 0 if the system does not tell, as it belongs to somebody else.
        owner: the user's login name, or number if it has none.
    """

    name: str
    pid: int
    owner: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else f"a process of {self.owner}"


@dataclass(frozen=True)
class Listener:
    """A TCP socket that listens.

    Args:
        address: what it is bound to; IPv4 also if it was bound as an IPv6 address that stands for one.
        port: its port.
        uid: whose it is.
        inode: the kernel's number of the socket.
    """

    address: Address
    port: int
    uid: int = 0
    inode: int = 0

    def __str__(self) -> str:
        """As `--map` takes it: `127.0.0.1:3000`, `[::1]:3000`; a socket on all addresses is reached on loopback."""
        address = self.address
        if address.is_unspecified:
            address = ipaddress.IPv4Address("127.0.0.1")
        return f"[{address}]:{self.port}" if address.version == 6 else f"{address}:{self.port}"

    def is_reached_at(self, address: Address, port: int) -> bool:
        """Whether a connection to this address and port reaches it."""
        if self.port != port:
            return False
        if self.address.is_unspecified:  # [::] takes IPv4 too unless told otherwise
            return self.address.version in (address.version, 6)
        return self.address == address


def at(listeners: Sequence[Listener], address: Address, port: int) -> Listener | None:
    """The socket that a connection to the address and port reaches: the one bound to it, else one to all addresses."""
    reached = [listener for listener in listeners if listener.is_reached_at(address, port)]
    return min(reached, key=lambda listener: listener.address.is_unspecified, default=None)
