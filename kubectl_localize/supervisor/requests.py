"""A command's request while it is being carried out: until when, and what the command hears when it fails."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.control import Client

log = logging.getLogger(__name__)


async def until_left(client: Client, work: asyncio.Task[Any], ending: asyncio.Event) -> None:
    """Wait for the work, or until the command lets go or is gone, or the supervisor ends."""
    leaving = asyncio.create_task(client.leaving.wait())
    end = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait((work, leaving, end), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        end.cancel()


def failed(client: Client, work: asyncio.Task[Any]) -> bool:
    """Whether the work, which is done, has failed; the command is told why, and holds nothing any more."""
    failure = work.exception()
    if failure is None:
        return False
    if not isinstance(failure, LocalizeError):
        log.error("a command", exc_info=failure)
        failure = LocalizeError(f"internal error: {failure}", "`kubectl localize logs` says more; please report it")
    client.fail(failure)
    client.holds = False
    return True
