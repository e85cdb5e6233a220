"""A kubectl process as this room needs it: started, read to its end, its failures put into words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import KubectlError


class Running(Protocol):
    """A started process."""

    @property
    def stdout(self) -> asyncio.StreamReader: ...

    @property
    def tail(self) -> Sequence[str]: ...

    async def wait(self) -> int: ...

    async def stop(self) -> None: ...


async def started(start: Awaitable[Running]) -> Running:
    """The process. Raises: KubectlError where it cannot be started."""
    try:
        return await start
    except OSError as error:  # it is being replaced by a newer one, perhaps
        raise KubectlError(f"kubectl cannot be started: {error.strerror or error}") from error


async def output(start: Awaitable[Running], timeout_seconds: float) -> bytes:
    """All that a kubectl writes to stdout, once it has ended well.

    Raises: KubectlError (a subclass that names the reason) where it fails, or does not end in time.
    """
    process = await started(start)
    try:
        async with asyncio.timeout(timeout_seconds):
            text = await process.stdout.read()
            code = await process.wait()
    except TimeoutError:
        raise kubectl.explain(["context deadline exceeded: the API server does not answer"], 1) from None
    finally:
        await process.stop()
    if code:
        raise kubectl.explain(process.tail, code)
    return text
