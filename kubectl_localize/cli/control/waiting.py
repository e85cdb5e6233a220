"""Waiting for something to read, in a way that no signal slips past."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from typing import Protocol, TypeVar


class HasFileno(Protocol):
    """What `select` takes."""

    def fileno(self) -> int: ...


Source = TypeVar("Source", bound=HasFileno)


def readable(sources: Sequence[Source], seconds: float | None) -> list[Source]:
    """Those of the sources that have something to read, as soon as one has; for the main thread.

    None where the time is over or a signal came, whose Python handler has run when this returns. Python runs handlers
    between its own instructions: of a signal that comes after the last of them and before the system waits, a plain
    `recv` or `select` would learn only when something else wakes it.

    Args:
        seconds: how long to wait; for ever where it is None.

    Raises: whatever a signal's handler raises, KeyboardInterrupt for one.
    """
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    try:
        waited: list[int | HasFileno] = [woken, *sources]
        ready = select.select(waited, [], [], seconds)[0]
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wakes)
    return [source for source in sources if source in ready]
