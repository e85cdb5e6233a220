"""What answers the exposure pod's readiness probe: the kubelet asks through the session, all the way to us and back."""

from __future__ import annotations

import asyncio
import contextlib

from kubectl_localize.supervisor.changed import Changed

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
REQUEST_SECONDS = 5.0


class Heartbeat:
    """Says that this supervisor lives, to whoever asks by HTTP; `proven` once the failsafe has told of its proof here.

    Args:
        announcement: the path that the failsafe asks for.
        changed: fired when it has.
    """

    def __init__(self, announcement: str, changed: Changed) -> None:
        self._announcement = announcement.encode()
        self._changed = changed
        self._server: asyncio.Server | None = None
        self.number = 0
        self.proven = False

    async def listen(self) -> None:
        """Listen on a loopback port of the kernel's choice, which `number` then is.

        Raises: OSError.
        """
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.number = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            if head.split(b" ", 2)[1:2] == [self._announcement]:
                self.proven = True
                self._changed.fire()
        writer.close()
