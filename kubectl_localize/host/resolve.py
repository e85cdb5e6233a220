"""What this machine's resolver makes of names."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from kubectl_localize.model import HostsLine

T = TypeVar("T")

_PUBLIC_SECONDS = 2.0
_ADDRESS_SECONDS = 5.0
# A resolver that does not read the hosts file asks the network for each name, and may take seconds for it.
_MOST_UNRESOLVED = 5


def lookup(name: str) -> frozenset[str]:
    """Return the IPv4 addresses that the resolver has for the name, none where it does not know it. Blocks."""
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(address[0]) for *_, address in found)


def unresolved(
    lines: Sequence[HostsLine],
    resolver: Callable[[str], frozenset[str]] = lookup,
    limit: int = _MOST_UNRESOLVED,
) -> list[str]:
    """Return names that do not lead to their addresses: the last one on each line is tried. Blocks.

    Args:
        lines: what the managed block says.
        resolver: name to addresses.
        limit: stop at this many.
    """
    missing: list[str] = []
    for line in lines:
        if line.names and line.address not in resolver(line.names[-1]):
            missing.append(line.names[-1])
            if len(missing) >= limit:
                break
    return missing


async def exists_publicly(
    name: str,
    resolver: Callable[[str], frozenset[str]] = lookup,
    timeout_seconds: float = _PUBLIC_SECONDS,
) -> bool:
    """Whether somebody really has this name in DNS; False, too, where no answer comes in time.

    Ask before the name is written to the hosts file: the final dot keeps glibc from looking there, but not
    systemd-resolved.
    """
    return bool(await _in_thread(lambda: resolver(name.rstrip(".") + "."), frozenset(), timeout_seconds))


async def addresses(host: str, timeout_seconds: float = _ADDRESS_SECONDS) -> list[str]:
    """Every address of a host, in the resolver's order; none where no answer comes in time."""

    def ask() -> list[str]:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    return await _in_thread(ask, [], timeout_seconds)


async def _in_thread(ask: Callable[[], T], otherwise: T, timeout_seconds: float) -> T:
    """What `ask` returns, or `otherwise` where that takes too long.

    Not in the loop's executor: at exit Python waits for that one's threads, and getaddrinfo cannot be interrupted.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(found: T) -> None:
        if not answer.done():
            answer.set_result(found)

    def run() -> None:
        found = ask()
        with contextlib.suppress(RuntimeError):  # the loop may have closed in the meantime
            loop.call_soon_threadsafe(settle, found)

    try:
        threading.Thread(target=run, name="resolver", daemon=True).start()
        async with asyncio.timeout(timeout_seconds):
            return await answer
    except (TimeoutError, RuntimeError):  # the latter where no thread can be had
        return otherwise
