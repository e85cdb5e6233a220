"""How long a supervisor lives: as long as somebody holds it, and until it is told to end."""

from __future__ import annotations

import asyncio
from typing import Any

from kubectl_localize.supervisor.control_server import Client
from kubectl_localize.timing import first_of


class Lifetime:
    """Who holds the supervisor: commands that are connected, forwards in the background, exposures.

    Attributes:
        holders: all of them, in no order.
    """

    def __init__(self) -> None:
        self.holders: set[object] = set()
        self._ending = asyncio.Event()

    @property
    def is_ending(self) -> bool:
        """Whether everything is being undone by now."""
        return self._ending.is_set()

    def hold(self, holder: object) -> None:
        """Keep the supervisor until `release`."""
        self.holders.add(holder)

    def release(self, holder: object) -> None:
        """Hold it no more, if this one did; the supervisor ends if nobody else does."""
        self.holders.discard(holder)
        if not self.holders:
            self.end()

    def has_others_than(self, holder: object) -> bool:
        """Whether somebody else holds the supervisor, and it does not end anyway."""
        return not self.is_ending and bool(self.holders - {holder})

    def end(self) -> None:
        """End, whoever holds it: a signal, or `stop`."""
        self._ending.set()

    async def wait_ending(self) -> None:
        """Return when the supervisor is to end."""
        await self._ending.wait()

    async def until_left(self, client: Client, work: asyncio.Task[Any]) -> None:
        """Wait for work done for a command, until it is done, the command lets go or is gone, or all ends.

        The work itself goes on then: only its owner knows how to give it up.
        """
        leaving = asyncio.ensure_future(client.leaving.wait())
        ending = asyncio.ensure_future(self._ending.wait())
        try:
            await first_of(work, leaving, ending, owned=False)
        finally:
            leaving.cancel()
            ending.cancel()
