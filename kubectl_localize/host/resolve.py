"""Asks this machine's resolver for names, and public DNS whether it has them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TypeVar

from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.model import HostsLine

T = TypeVar("T")

_PUBLIC_SECONDS = 2.0
_ADDRESS_SECONDS = 5.0
# A resolver that does not read the hosts file asks the network for each name, and may take seconds for it.
_MOST_UNRESOLVED = 5
_MOST_LINES_TRIED = 16


def lookup(name: str) -> frozenset[str]:
    """Return the IPv4 addresses that the resolver has for a name; none if it does not know the name. Blocks."""
    return frozenset(_ask(name, socket.AF_INET))


async def unresolved(
    lines: Sequence[HostsLine],
    resolver: Callable[[str], frozenset[str]] = lookup,
    limit: int = _MOST_UNRESOLVED,
) -> list[str]:
    """Return names that do not lead to their addresses.

    Only the last name of a few lines is tried, the last line among them: a resolver that knows these has read the
    block. To ask for every line of a thousand takes 0.1 s.

    Args:
        lines: what the managed block says.
        resolver: name to addresses; it may block.
        limit: stop at this many.
    """

    def missing_names() -> list[str]:
        missing: list[str] = []
        for line in reversed(lines[:: -max(1, len(lines) // _MOST_LINES_TRIED)]):
            if line.names and line.address not in resolver(line.names[-1]):
                missing.append(line.names[-1])
                if len(missing) >= limit:
                    break
        return missing

    return await in_daemon_thread(missing_names, "resolver")


async def exists_publicly(
    name: str,
    resolver: Callable[[str], frozenset[str]] = lookup,
    timeout_seconds: float = _PUBLIC_SECONDS,
) -> bool:
    """Whether somebody has this name in public DNS.

    Ask before the name is in the hosts file: the final dot keeps glibc from looking there, but not systemd-resolved.

    Args:
        name: a DNS name, with or without its final dot.
        resolver: name to addresses; it may block.
        timeout_seconds: without an answer in this time, the name counts as free.
    """
    return bool(await _within(timeout_seconds, lambda: resolver(name.rstrip(".") + "."), frozenset()))


async def addresses(host: str, timeout_seconds: float = _ADDRESS_SECONDS) -> list[str]:
    """Return every address of a host, in the resolver's order.

    Args:
        host: a name or an IP address.
        timeout_seconds: without an answer in this time, there are none.
    """
    return await _within(timeout_seconds, lambda: _ask(host, socket.AF_UNSPEC), [])


def top_level_domains() -> frozenset[str]:
    """Return the top-level domains of public DNS, international ones in their ASCII form (`xn--…`).

    The list is the data file `tlds.txt`, which `make tlds` refreshes.
    """
    from importlib import resources  # with zipfile and tempfile; only who forwards comes here

    text = resources.files("kubectl_localize.host").joinpath("tlds.txt").read_text(encoding="ascii")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def _ask(host: str, family: socket.AddressFamily) -> list[str]:
    try:
        answers = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(socket_address[0]) for *_, socket_address in answers))


async def _within(timeout_seconds: float, call: Callable[[], T], otherwise: T) -> T:
    """Make a blocking call in a thread. Returns `otherwise` if it takes too long or no thread can be started."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await in_daemon_thread(call, "resolver")
    except (TimeoutError, RuntimeError):
        return otherwise
