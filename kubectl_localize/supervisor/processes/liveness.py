"""Whether a running port-forward still carries anything: when to doubt it (pure), and how to find out.

One of several API servers behind a load balancer may freeze. What is connected to it then stays connected, and carries
nothing; kubectl notices after a quarter of an hour, or never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

T = TypeVar("T")

SUSPECT_SECONDS = 1.0  # how long a connection is without an answer, while nothing else comes either
CHECK_AGAIN_SECONDS = 5.0  # a Service that is just slow is not to get more connections than that from us
CHECK_SECONDS = 2.5  # the container runtime ends a connection a second after its client has ended its side


class Carried(Protocol):
    """A connection that goes through a port-forward (`Relay`)."""

    def abandon(self) -> None:
        """End the attempt to reach the pod, on which nothing has come back."""


class LivenessCheck:
    """When a port-forward is to be checked; times are the caller's clock in seconds."""

    def __init__(self) -> None:
        self._heard_at = 0.0
        self._checked_at = float("-inf")

    def heard(self, now: float) -> None:
        """Note that something has come through it."""
        self._heard_at = now

    def checked(self, now: float) -> None:
        """Note that it is being checked."""
        self._checked_at = now

    def is_due(self, opened: Iterable[float], now: float) -> bool:
        """Whether it is to be checked now.

        Args:
            opened: when those connections were opened on which nothing has come back yet.
        """
        oldest = min((time for time in opened if time >= self._heard_at), default=now)
        return now - oldest >= SUSPECT_SECONDS and now - self._checked_at >= CHECK_AGAIN_SECONDS

    def may_become_due(self, opened: Iterable[float]) -> bool:
        """Whether it may have to be checked later, although no other connection is opened."""
        return any(time >= self._heard_at for time in opened)

    def stuck(self, opened: Mapping[T, float]) -> list[T]:
        """The connections that were opened after anything came through it."""
        return [connection for connection, time in opened.items() if time >= self._heard_at]


async def still_carries(host: str, port: int) -> bool:
    """Whether something comes back through a port-forward, if only the end of a connection that says nothing.

    The pod is shown a connection that ends at once. What it does with it does not matter: the container runtime ends
    its side a second later.
    """
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write_eof()
                await reader.read(1)
            finally:
                writer.transport.abort()
    except TimeoutError:
        return False
    except OSError:  # it has ended, or was reset: that has another consequence
        return True
    return True
