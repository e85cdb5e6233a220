"""Ends the work on a command's request if the command leaves, and tells the command if the work failed."""

from __future__ import annotations

import asyncio
from typing import Any

from kubectl_localize.supervisor.control_server import Client
from kubectl_localize.timing import first_of


async def until_left(client: Client, work: asyncio.Task[Any], ending: asyncio.Event) -> None:
    """Wait for the work, or until the command lets go or is gone, or the supervisor ends; the work goes on then."""
    leaving = asyncio.ensure_future(client.leaving.wait())
    end = asyncio.ensure_future(ending.wait())
    try:
        await first_of(work, leaving, end, owned=False)
    finally:
        leaving.cancel()
        end.cancel()


def failed(client: Client, work: asyncio.Task[Any]) -> bool:
    """Whether the work, which is done, has failed; the command is told why, and holds nothing any more."""
    failure = work.exception()
    if failure is None:
        return False
    client.fail(failure)
    client.holds = False
    return True
