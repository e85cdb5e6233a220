"""Lets one kubectl go first while credentials are unproven, so that a credential plugin asks its user only once.

kubectl runs the kubeconfig's exec credential plugin in every process; the plugin caches what it got. Fifty at once
would open fifty browser windows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import UnauthorizedError
from kubectl_localize.supervisor.processes.process import Process, Spawner


class CredentialGate:
    """Starts kubectl processes, one at a time until one has spoken, and again after an `Unauthorized`."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._proven = False
        self._first = asyncio.Lock()
        self._proofs: set[asyncio.Task[None]] = set()

    async def spawn(
        self,
        argv: Sequence[str],
        on_error_line: Callable[[str], None] | None = None,
        stdin: bytes | None = None,
    ) -> Process:
        """Start a kubectl, after the one that goes first where there is one; `stdin` is what it has to read.

        Raises: OSError where it cannot be started.
        """

        def hear(line: str) -> None:
            if isinstance(kubectl.explain([line], 1), UnauthorizedError):
                self._proven = False
            if on_error_line is not None:
                on_error_line(line)

        if self._proven:
            return await self._spawner.spawn(argv, hear, stdin)
        await self._first.acquire()
        # proven by the one that was waited for; or a watch, which may be silent for long and so can prove nothing
        if self._proven or kubectl.is_stream(argv):
            self._first.release()
            return await self._spawner.spawn(argv, hear, stdin)
        try:
            process = await self._spawner.spawn(argv, hear, stdin)
        except BaseException:
            self._first.release()
            raise
        proof = asyncio.create_task(self._prove(process))
        self._proofs.add(proof)
        proof.add_done_callback(self._proofs.discard)
        return process

    async def _prove(self, process: Process) -> None:
        try:
            await process.spoke.wait()
            self._proven = process.alive or not process.tail
        finally:
            self._first.release()
