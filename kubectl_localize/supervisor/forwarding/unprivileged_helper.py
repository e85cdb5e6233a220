"""The helper that runs without sudo, for a hosts file that this user may write; it is started again if it is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from kubectl_localize.host.helper_client import Helper
from kubectl_localize.host.helper_server import HelperServer

log = logging.getLogger(__name__)


class UnprivilegedHelper:
    """A helper process of this user's. It outlives the supervisor, to undo what it did.

    Args:
        server: where it connects.
        argv: starts it, and ends when it is connected.
    """

    def __init__(self, server: HelperServer, argv: Sequence[str]) -> None:
        self._server = server
        self._argv = argv
        self._begun = False
        self._starting = asyncio.Lock()  # a command and the supervisor itself may look after it at once
        self._complaint = ""

    @property
    def helper(self) -> Helper | None:
        """The one that is connected now."""
        return self._server.helper

    async def begin(self) -> None:
        """Start it; if it does not start, the log says why.

        Raises:
            OSError: there is no socket for it to connect to.
        """
        await self._server.start()
        self._begun = True
        await self.look_after()

    async def remake_socket(self) -> None:
        """Make the socket anew, which somebody has removed; raises OSError if it cannot be."""
        if self._begun:
            await self._server.start()

    async def look_after(self) -> None:
        """Start it again if it was started and is gone."""
        async with self._starting:
            if self._begun and self._server.helper is None:
                complaint = await self._start()
                if complaint and complaint != self._complaint:  # once, though it is tried again and again
                    log.warning("%s", complaint)
                self._complaint = complaint

    async def close(self) -> None:
        """Let it undo what it did; return when it has."""
        self._begun = False
        await self._server.close()

    async def _start(self) -> str:
        """Start it. Returns why that failed; empty if it did not."""
        null = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv, stdin=null, stdout=null, stderr=asyncio.subprocess.PIPE
            )
        except OSError as error:
            return f"the helper cannot be started: {error.strerror or error}"
        try:
            _, errors = await process.communicate()
        finally:
            if process.returncode is None:  # cancelled: nobody is to be left behind unnoticed
                process.kill()
                await process.wait()
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        return last or f"the helper ended with exit code {process.returncode}" if process.returncode else ""
