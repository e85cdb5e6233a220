"""Sockets for listeners: our own where this user may bind, else the helper's, else one on a higher port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

MOVED_BY = 8000
HIGHEST_PORT = 65535


class BindHelper(Protocol):
    """The privileged helper, as far as it binds."""

    async def bind(self, address: str, port: int) -> socket.socket: ...


@dataclass(frozen=True)
class Bound:
    """A bound socket, or why there is none; `moved` says that it has another port than was asked for."""

    socket: socket.socket | None
    problem: str = ""
    moved: bool = False


class PortBinder:
    """Binds loopback ports.

    Args:
        bind: binds as this user; raises OSError.
        helper: the helper that is connected now, if one is.
        helper_errors: what a helper raises where it could not do it.
        add_address: adds an address to this machine, where loopback does not answer on all of them anyway; raises
            `helper_errors`.
    """

    def __init__(
        self,
        bind: Callable[[str, int], socket.socket],
        helper: Callable[[], BindHelper | None],
        helper_errors: type[Exception],
        add_address: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._bind = bind
        self._helper = helper
        self._helper_errors = helper_errors
        self._add_address = add_address

    async def bound(self, address: str, port: int, avoid: Callable[[int], bool] | None) -> Bound:
        """A socket on the address, on this port or (where that needs rights nobody has) on a higher one.

        Args:
            avoid: whether a port number is meant for something else on this address; None: this port or none.
        """
        try:
            return Bound(await self._bind_here(address, port))
        except PermissionError:
            pass
        except OSError as error:
            return Bound(None, _problem(error, address, port))
        except self._helper_errors as error:
            return Bound(None, str(error))
        helper = self._helper()
        if helper is not None:
            return await self._helped(helper.bind(address, port), address, port)
        if avoid is None:
            return Bound(None)
        for number in range(port + MOVED_BY, HIGHEST_PORT):
            if avoid(number):
                continue
            try:
                return Bound(self._bind(address, number), moved=True)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return Bound(None, _problem(error, address, number))
        return Bound(None, f"no free port above {port + MOVED_BY} on {address}")

    async def _bind_here(self, address: str, port: int) -> socket.socket:
        """Bind as this user; an address that the machine has not got yet is added first."""
        try:
            return self._bind(address, port)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL or self._add_address is None:
                raise
        await self._add_address(address)
        return self._bind(address, port)

    async def _helped(self, binding: Awaitable[socket.socket], address: str, port: int) -> Bound:
        try:
            return Bound(await binding)
        except OSError as error:
            return Bound(None, _problem(error, address, port))
        except self._helper_errors as error:
            return Bound(None, str(error))


def _problem(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program has {address}:{port}, or port {port} on all addresses"
    return f"{address}:{port} cannot be bound: {error.strerror}"
