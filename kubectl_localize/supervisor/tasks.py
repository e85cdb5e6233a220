"""Tasks with an owner, who keeps them alive, hears of their failures and ends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """The tasks of one object, which ends them when it ends itself.

    A failure is logged with its stack trace: nobody awaits these tasks, so nobody else would hear of it.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a coroutine in a task.

        Args:
            name: what it does, for the log.

        Returns:
            The task, which needs no other reference.
        """
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def __len__(self) -> int:
        return len(self._running)

    async def end(self) -> None:
        """Cancel all tasks but the calling one, and wait until they have ended; what they raise then is ignored."""
        others = self._running - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed", task.get_name(), exc_info=error)


async def give_up(task: asyncio.Task[Any], name: str) -> None:
    """Cancel a task that is not wanted any more, and wait for its end; the log has what it failed with.

    Args:
        name: what it does, for the log.
    """
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled() and (error := task.exception()) is not None:
        log.info("given up: %s: %s", name, error)
