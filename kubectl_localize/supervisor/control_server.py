"""The control socket: requests and events as one JSON object a line, between a command and the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import socket_address

log = logging.getLogger(__name__)

REQUEST_BYTES = 1024 * 1024


class Client:
    """One connected command; `holds` says that the supervisor stays for as long as it is connected.

    `leaving` is set as soon as it lets go or is gone, whatever is being done for it at that moment.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._inbox: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.leaving = asyncio.Event()
        self.holds = False

    async def read(self) -> None:
        """Take requests in until the client is gone, or says what is no request."""
        try:
            while line := await self._reader.readline():
                request = json.loads(line)
                if not isinstance(request, dict):
                    break
                if request.get("op") == "release":
                    self.send("accepted")  # here already: what is being done for it may take a while to end
                    self.leaving.set()
                self._inbox.put_nowait(request)
        except (OSError, ValueError) as error:
            log.info("a command on the control socket: %s", error)
        finally:
            self.leaving.set()
            self._inbox.put_nowait(None)

    def send(self, event: str, **fields: Any) -> None:
        """Send an event; one that nobody reads any more is dropped."""
        if not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < REQUEST_BYTES:
            self._writer.write(json.dumps({"event": event, **fields}).encode() + b"\n")

    def fail(self, error: BaseException) -> None:
        """Send an error as the end of what was asked for; the log has all of one that nobody has foreseen."""
        if not isinstance(error, LocalizeError):
            log.error("a command's request", exc_info=error)
            error = LocalizeError(f"internal error: {error}", "`kubectl localize logs` says more; please report it")
        self.send("error", message=error.message, hint=error.hint)

    async def receive(self) -> dict[str, Any] | None:
        """The next request; None when the client is gone."""
        return await self._inbox.get()

    async def close(self) -> None:
        """Close it after what is still to be sent."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()


class ControlServer:
    """Accepts commands on the control socket, and on a socket that the first command handed down.

    Args:
        serve: handles a client to its end.
    """

    def __init__(self, path: Path, serve: Callable[[Client], Awaitable[None]]) -> None:
        self._path = path
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._clients: dict[Client, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Listen.

        Raises: OSError where the socket cannot be made.
        """
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._connected, socket_address(self._path), limit=REQUEST_BYTES
            )
        finally:
            os.umask(before)

    async def adopt(self, inherited: socket.socket) -> None:
        """Serve the connection that the starting command made before there was a supervisor."""
        reader, writer = await asyncio.open_connection(sock=inherited, limit=REQUEST_BYTES)
        self._connected(reader, writer)

    def clients(self) -> list[Client]:
        """Who is connected now."""
        return list(self._clients)

    def broadcast(self, event: str, **fields: Any) -> None:
        """Send an event to everybody."""
        for client in self._clients:
            client.send(event, **fields)

    def stop_listening(self) -> None:
        """Accept nobody any more and remove the socket; who is connected stays so."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Close every connection."""
        self.stop_listening()
        clients, tasks = list(self._clients), list(self._clients.values())
        await asyncio.gather(*(client.close() for client in clients))
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Client(reader, writer)
        task = asyncio.get_running_loop().create_task(self._handle(client))
        self._clients[client] = task

    async def _handle(self, client: Client) -> None:
        reading = asyncio.create_task(client.read())
        try:
            await self._serve(client)
        except Exception as error:  # one request must not end in silence, whatever went wrong here
            client.fail(error)
        finally:
            reading.cancel()
            self._clients.pop(client, None)
            await client.close()
