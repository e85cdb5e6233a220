"""Sockets for listeners: our own if this user may bind the port, else the helper's, else one on a higher port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from kubectl_localize.host.helper_client import AddressInUseError, HelperError
from kubectl_localize.host.system.listeners import Listener as Listening

MOVED_BY = 8000
HIGHEST_PORT = 65535


class BindHelper(Protocol):
    """A helper that binds; it raises OSError or `HelperError`."""

    async def bind(self, address: str, port: int) -> socket.socket: ...


class LoopbackHelpers(Protocol):
    """The helpers that are connected now, as far as loopback addresses and their ports go (`forwarding.helpers`)."""

    @property
    def privileged(self) -> BindHelper | None: ...

    async def add_address(self, address: str) -> None: ...


@dataclass(frozen=True)
class Bound:
    """A bound socket, or none.

    Args:
        problem: why there is none.
        stranger: the socket of another user that has the place, if that is why.
        moved: whether it has another port than was asked for.
    """

    socket: socket.socket | None
    problem: str = ""
    moved: bool = False
    stranger: Listening | None = None


class Strangers(Protocol):
    """Knows which sockets of other users have a place (`host.neighbours.Neighbours`)."""

    def at(self, address: str, port: int) -> Listening | None: ...


class PortBinder:
    """Binds loopback ports.

    Args:
        bind: binds as this user; raises OSError.
        helpers: those that may do more than this user.
        aliases_loopback: whether an address has to be added to the loopback interface before it can be bound.
        strangers: know who has a port that cannot be bound; None: nobody is asked.
    """

    def __init__(
        self,
        bind: Callable[[str, int], socket.socket],
        helpers: LoopbackHelpers,
        *,
        aliases_loopback: bool,
        strangers: Strangers | None = None,
    ) -> None:
        self._bind = bind
        self._helpers = helpers
        self._aliases_loopback = aliases_loopback
        self._strangers = strangers

    async def bound(self, address: str, port: int, avoid: Callable[[int], bool] | None) -> Bound:
        """Bind a port of an address, or a higher one if that needs rights that nobody has.

        Args:
            address: a loopback address.
            port: the port that is wanted.
            avoid: whether a port number is meant for something else on this address; None means this port or none.
        """
        try:
            return Bound(await self._bind_here(address, port))
        except PermissionError:
            pass
        except OSError as error:
            return self._refused(error, address, port)
        except HelperError as error:
            return Bound(None, str(error))
        helper = self._helpers.privileged
        if helper is not None:
            return await self._bind_there(helper, address, port)
        return self._bind_higher(address, port, avoid) if avoid is not None else Bound(None)

    async def _bind_here(self, address: str, port: int) -> socket.socket:
        """Bind as this user; an address that the machine has not got yet is added first."""
        try:
            return self._bind(address, port)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL or not self._aliases_loopback:
                raise
        await self._helpers.add_address(address)
        return self._bind(address, port)

    async def _bind_there(self, helper: BindHelper, address: str, port: int) -> Bound:
        """Have the helper bind."""
        try:
            return Bound(await helper.bind(address, port))
        except OSError as error:
            return self._refused(error, address, port)
        except AddressInUseError as error:
            return self._taken(str(error), address, port)
        except HelperError as error:
            return Bound(None, str(error))

    def _refused(self, error: OSError, address: str, port: int) -> Bound:
        problem = _problem(error, address, port)
        return self._taken(problem, address, port) if error.errno == errno.EADDRINUSE else Bound(None, problem)

    def _taken(self, problem: str, address: str, port: int) -> Bound:
        """Say whose the port is, if it is another user's."""
        stranger = self._strangers.at(address, port) if self._strangers is not None else None
        if stranger is not None:
            problem = f"user {stranger.uid} has {stranger}"
        return Bound(None, problem, stranger=stranger)

    def _bind_higher(self, address: str, port: int, avoid: Callable[[int], bool]) -> Bound:
        """Bind the first free port from `port` + 8000 up."""
        for number in range(port + MOVED_BY, HIGHEST_PORT):
            if avoid(number):
                continue
            try:
                return Bound(self._bind(address, number), moved=True)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return Bound(None, _problem(error, address, number))
        return Bound(None, f"no free port above {port + MOVED_BY} on {address}")


def _problem(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"another program has {address}:{port}, or port {port} on all addresses"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return error.strerror or str(error)
    return f"{address}:{port} cannot be bound: {error.strerror}"
