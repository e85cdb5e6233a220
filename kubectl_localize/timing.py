"""Time and its events, as they are passed in, so that tests have their own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Seconds, monotonic, and a pause."""

    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


class Notifier:
    """Wakes everybody who waits, each time it fires; carries no data, so that what is looked at is always current.

    `count` is how often it has fired.
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Wake all who wait now."""
        self.count += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def next(self) -> asyncio.Future[None]:
        """Done at the next change from this very moment on: take it before looking, or right after, without a pause."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        waiter.add_done_callback(self._waiters.discard)
        return waiter

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the next change.

        Returns: False when the time ran out first.
        """
        waiter = self.next()
        try:
            done, _ = await asyncio.wait((waiter,), timeout=timeout_seconds)
        finally:
            waiter.cancel()
        return bool(done)
