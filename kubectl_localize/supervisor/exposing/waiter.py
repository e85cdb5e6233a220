"""Waits until an exposure's condition holds, its time is up, it has become impossible, or the exposure ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kubectl_localize.errors import LocalizeError
from kubectl_localize.timing import Notifier, first_of

LOOK_SECONDS = 0.2


class EndingError(Exception):
    """The wait was given up, because the exposure is to end."""


class Waiter:
    """See the module.

    Args:
        changed: fires when there is something new to look at.
        now: seconds, monotonic.
    """

    def __init__(self, changed: Notifier, now: Callable[[], float]) -> None:
        self._changed = changed
        self._now = now
        self._ending = asyncio.Event()
        self.failure: LocalizeError | None = None

    def end(self, failure: LocalizeError | None = None) -> None:
        """Nobody is to wait any more.

        Args:
            failure: why, if it is not as asked; the first one counts.
        """
        self.failure = self.failure or failure
        self._ending.set()
        self._changed.fire()

    def go_on(self) -> None:
        """Do nothing, unless the exposure is to end.

        Raises:
            EndingError: it is to end.
        """
        if self._ending.is_set():
            raise EndingError

    async def pause(self, seconds: float) -> None:
        """Wait until something has changed, at most so long."""
        await self._changed.wait(seconds)

    async def unless_ending(self, work: Awaitable[None]) -> None:
        """Wait for something that may take long and changes nothing that has to be undone.

        Raises:
            EndingError: the exposure is to end.
            Exception: whatever the work raises.
        """
        done = await first_of(work, self._ending.wait())
        self.go_on()
        assert done is not None  # there is no time limit
        done.result()

    async def until(
        self,
        condition: Callable[[], bool],
        seconds: float,
        *,
        hopeless: Callable[[], bool],
        failure: Callable[[], LocalizeError],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Wait for a condition.

        Args:
            hopeless: whether it cannot come about any more.
            failure: the error for that, and for when the time is up.
            look_seconds: how often to look if nothing changes that would wake us.

        Raises:
            EndingError: the exposure is to end.
            LocalizeError: `failure`.
        """
        deadline = self._now() + seconds
        while not condition():
            self.go_on()
            if hopeless() or self._now() > deadline:
                raise failure()
            await self.pause(look_seconds)
