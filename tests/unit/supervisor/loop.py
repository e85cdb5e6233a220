"""An event loop like the supervisor's, within a generous time, and waiting for a condition instead of for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from kubectl_localize.supervisor.__main__ import new_event_loop

DEADLINE_SECONDS = 20.0
POLL_SECONDS = 0.005
SETTLED_SECONDS = 0.1
ACCEPT_STEPS = 10  # a few more than asyncio needs from accept() to connection_made()


def play(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine; one that hangs fails."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_bounded(coroutine))


async def _bounded(coroutine: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await coroutine
    # What was accepted in the last moment becomes a transport, which is closed; ended now, it would be an open socket.
    for _ in range(ACCEPT_STEPS):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; the deadline is the test's."""
    while not condition():  # noqa: ASYNC110 - most of what tests wait for has no event
        await asyncio.sleep(POLL_SECONDS)


async def settled(value: Callable[[], int]) -> int:
    """Wait until a number is above zero and has not changed for a while; what it is then."""
    before, now = -1, 0
    while before != now or not now:
        before = now
        await asyncio.sleep(SETTLED_SECONDS)
        now = value()
    return now


class Clock:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
