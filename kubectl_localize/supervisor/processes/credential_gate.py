"""Lets one kubectl go first while credentials are unproven, so that a credential plugin asks its user only once.

kubectl runs the kubeconfig's exec credential plugin in every process; the plugin caches what it got. Fifty at once
would open fifty browser windows. All API requests share one kubectl, and count as one here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import KubectlError, UnauthorizedError, UnreachableError
from kubectl_localize.supervisor.access import Access
from kubectl_localize.supervisor.processes.process import Process, Spawner
from kubectl_localize.timing import Notifier


class CredentialGate:
    """Until credentials are proven, lets only one port-forward go, or the API requests; all others wait.

    API requests share one `kubectl proxy`, so they may go together. The gate opens when a request is answered or a
    port-forward prints a line, and closes again at an `Unauthorized`.

    Args:
        access: hears how each API request ended.
    """

    def __init__(self, spawner: Spawner, access: Access) -> None:
        self._spawner = spawner
        self._access = access
        self._proven = False
        self._requests = 0
        self._busy = False
        self._proof: asyncio.Task[None] | None = None
        self._changed = Notifier()

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Make an API request within this; while a port-forward is proving the credentials, it waits."""
        while not self._proven and self._busy:
            await self._changed.wait()
        self._requests += 1
        try:
            yield
            self._proven = True
            self._access.worked()
        except KubectlError as error:
            self._access.failed(error)
            if not isinstance(error, UnreachableError):
                self._proven = not isinstance(error, UnauthorizedError)
            raise
        finally:
            self._requests -= 1
            self._changed.fire()

    async def spawn(self, argv: Sequence[str], on_error_line: Callable[[str], None] | None = None) -> Process:
        """Start a `kubectl port-forward`; while credentials are unproven, wait until the one before it has proven them.

        Raises:
            SpawnError: it cannot be started.
        """

        def hear(line: str) -> None:
            if isinstance(kubectl.explain([line], 1), UnauthorizedError):
                self._proven = False
            if on_error_line is not None:
                on_error_line(line)

        while not self._proven and (self._requests or self._busy):
            await self._changed.wait()
        if self._proven:
            return await self._spawner.spawn(argv, hear)
        self._busy = True
        try:
            process = await self._spawner.spawn(argv, hear)
        except BaseException:
            self._let_in()
            raise
        self._proof = asyncio.create_task(self._prove(process))
        return process

    async def _prove(self, process: Process) -> None:
        """Let the others in when the one that went first has spoken or ended."""
        try:
            await process.spoke.wait()
            self._proven = process.alive or not process.tail
        finally:
            self._let_in()

    def _let_in(self) -> None:
        self._busy = False
        self._changed.fire()
