"""Clocks, backoff and notifications, passed in as arguments so that tests have their own time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

MOST_DOUBLINGS = 32  # past any cap, while 2 ** 1024 is past what a float holds


@dataclass(frozen=True)
class Clock:
    """Seconds, monotonic, and a pause."""

    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


@dataclass(frozen=True)
class Backoff:
    """How long to wait before something that failed is tried again: twice as long each time, up to a limit.

    Args:
        first_seconds: the pause after the first failure.
        longest_seconds: the limit.
        jitter: by which part of itself a pause may be longer or shorter, so that many do not try at the same moment.
    """

    first_seconds: float
    longest_seconds: float
    jitter: float = 0.0

    def seconds(self, failures: int, luck: float = 0.5) -> float:
        """The pause after so many failures in a row, 1 or more.

        Args:
            luck: a random number from 0 to 1; 0.5 means no jitter.
        """
        doublings = min(max(failures, 1) - 1, MOST_DOUBLINGS)
        pause = min(self.first_seconds * float(2**doublings), self.longest_seconds)
        return pause * (1 + self.jitter * (2 * luck - 1))


class Notifier:
    """Edge-triggered notifications without payload; waiters wake and re-read current state.

    `count` is how often it has fired.
    """

    def __init__(self) -> None:
        self.count = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Wake everybody who waits now."""
        self.count += 1
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def next(self) -> asyncio.Future[None]:
        """A future that is done at the next `fire`. Take it before the state is read, or no `await` later than that."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        waiter.add_done_callback(self._waiters.discard)
        return waiter

    async def wait(self, timeout_seconds: float | None = None) -> bool:
        """Wait for the next `fire`.

        Returns:
            False if the time ran out first.
        """
        return await first_of(self.next(), timeout_seconds=timeout_seconds) is not None


async def first_of(
    *work: Awaitable[Any], timeout_seconds: float | None = None, owned: bool = True
) -> asyncio.Future[Any] | None:
    """Wait until the first of several awaitables is done; cancel the others and wait for their end.

    Args:
        timeout_seconds: the longest wait; None means no limit.
        owned: False leaves those that are not done alone, for tasks that somebody else has to end.

    Returns:
        The future that is done, the first in this order if several are; None if the time ran out. Whoever wants what it
        returned or raised calls its `result()`.
    """
    futures = [asyncio.ensure_future(awaitable) for awaitable in work]
    try:
        await asyncio.wait(futures, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        return next((future for future in futures if future.done()), None)
    finally:
        if owned:
            pending = [future for future in futures if not future.done()]
            for future in pending:
                future.cancel()
            if pending:
                await asyncio.wait(pending)
            for future in pending:
                if not future.cancelled() and (error := future.exception()) is not None:
                    log.info("failed when it was given up: %s", error)


async def all_of(*work: Awaitable[object]) -> None:
    """Do several things at the same time, and wait for all of them, also if one fails.

    Use it where nothing may go on in the background after a failure: for steps that have to be undone, and for ends.

    Raises:
        Exception: what the first of them, in this order, has raised; the log has the others.
    """
    answers = await asyncio.gather(*work, return_exceptions=True)
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    for failure in failures[1:]:
        log.warning("failed at the same time: %s", failure, exc_info=failure)
    if failures:
        raise failures[0]
