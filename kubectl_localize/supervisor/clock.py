"""Time as it is passed in, so that tests have their own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """Seconds, monotonic, and a pause."""

    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
