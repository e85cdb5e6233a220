"""A command's request: what it asks for, until when it is carried out, what the command hears when it fails."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, TypeVar

from kubectl_localize import __version__
from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.control_server import Client

Asked = TypeVar("Asked")


def understood(request: dict[str, Any], read: Callable[[dict[str, Any]], Asked]) -> Asked:
    """What a request asks for.

    Raises: LocalizeError where it has fields that are not known here, or lacks some: another version has sent it.
    """
    try:
        return read(request)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise LocalizeError(
            f"the supervisor with pid {os.getpid()} runs version {__version__}, which does not know this request",
            "`kubectl localize stop` first",
        ) from error


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
    client.fail(failure)
    client.holds = False
    return True
