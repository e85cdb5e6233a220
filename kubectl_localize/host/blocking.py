"""Blocking calls beside the event loop: in daemon threads, which hold up neither the loop nor the exit.

The loop's own executor will not do: at exit Python waits for its threads, and a DNS look-up cannot be interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(call: Callable[[], T], name: str) -> T:
    """Run a blocking call in a thread of its own and wait for it.

    If the waiting task is cancelled, the call goes on by itself, and nobody hears of its result.

    Args:
        call: what to run; it must not touch the event loop.
        name: the thread's name, for debuggers.

    Returns:
        What the call returned.

    Raises:
        RuntimeError: no thread can be started.
        Exception: whatever the call raised.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T) -> None:
        if not result.done():
            result.set_result(value)

    def fail(error: BaseException) -> None:
        if not result.done():
            result.set_exception(error)

    def run() -> None:
        # RuntimeError: the loop has closed in the meantime, and nobody waits any more.
        with contextlib.suppress(RuntimeError):
            try:
                value = call()
            except BaseException as error:
                loop.call_soon_threadsafe(fail, error)
            else:
                loop.call_soon_threadsafe(settle, value)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await result
