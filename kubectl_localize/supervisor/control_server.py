"""The supervisor's end of the control socket: who is connected, and what each command asks, hears and answers."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Protocol

from kubectl_localize import __version__
from kubectl_localize.codec import CodecError
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.sockets import socket_address
from kubectl_localize.model import ServiceKey
from kubectl_localize.protocol import (
    Accepted,
    Answer,
    CommandWanted,
    ConfirmationNeeded,
    Event,
    Failed,
    LoginNeeded,
    PrivilegesNeeded,
    ReleaseRequest,
    Request,
    request_from_line,
    to_line,
)

log = logging.getLogger(__name__)

REQUEST_BYTES = 1024 * 1024
CLOSE_SECONDS = 1.0

Question = PrivilegesNeeded | CommandWanted | ConfirmationNeeded | LoginNeeded


class Interest(Protocol):
    """What a command wants to hear of (`forwarding.holds.Hold`)."""

    def concerns(self, key: ServiceKey) -> bool: ...


class Client:
    """One connected command.

    Attributes:
        holds: whether the supervisor has to stay for as long as this command is connected.
        leaving: set as soon as the command lets go or is gone, whatever is being done for it at that moment.
        process_group: of the local command that it has started; 0 if it has not.
        interest: which Services' changes it hears of; None: of all.
    """

    process_group = 0

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._requests: asyncio.Queue[Request | None] = asyncio.Queue()
        self._numbers = count(1)
        self._questions: dict[int, asyncio.Future[bool]] = {}
        self.leaving = asyncio.Event()
        self.interest: Interest | None = None

    async def read(self) -> None:
        """Take requests and answers in until the command is gone, or sends what this version does not know."""
        try:
            while line := await self._reader.readline():
                self._take(request_from_line(line))
        except CodecError as error:
            log.info("a command sent an unknown request: %s", error)
            self.fail(_unknown_request())
        except (OSError, ValueError) as error:  # ValueError: the line is too long
            log.info("a command on the control socket: %s", error)
        finally:
            self.leaving.set()
            self._requests.put_nowait(None)
            for answer in self._questions.values():
                if not answer.done():
                    answer.set_exception(LocalizeError("the command that was asked is gone"))

    def _take(self, request: Request) -> None:
        if isinstance(request, Answer):
            answer = self._questions.get(request.question)
            if answer is None or answer.done():
                log.info("a command has answered question %d, which nobody asks", request.question)
            else:
                self.process_group = request.process_group or self.process_group
                answer.set_result(request.granted)
            return
        if isinstance(request, ReleaseRequest):
            self.send(Accepted())  # at once, since what is being done for the command may take a while to end
            self.leaving.set()
        self._requests.put_nowait(request)

    async def ask(self, question: Question) -> bool:
        """Ask the command something, and wait for the answer that has the question's number.

        Args:
            question: its `question` is replaced by a number that this connection has not used yet.

        Returns:
            Whether the command could do it, or the user said yes.

        Raises:
            LocalizeError: the command goes away instead.
        """
        number = next(self._numbers)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._questions[number] = answer
        try:
            if self.leaving.is_set():
                raise LocalizeError("the command that was asked is gone")
            self.send(replace(question, question=number))
            return await answer
        finally:
            del self._questions[number]

    def send(self, event: Event) -> None:
        """Send an event; it is dropped if the command does not read."""
        if not self._writer.is_closing() and self._writer.transport.get_write_buffer_size() < REQUEST_BYTES:
            self._writer.write(to_line(event))

    def fail(self, error: BaseException) -> None:
        """Send an error as the request's outcome; the log gets the trace of one that nobody has foreseen."""
        if not isinstance(error, LocalizeError):
            log.error("a command's request", exc_info=error)
            error = LocalizeError(f"internal error: {error}", "`kubectl localize logs` says more; please report it")
        self.send(Failed(error.message, error.hint))

    async def receive(self) -> Request | None:
        """The next request; None if the command is gone."""
        return await self._requests.get()

    async def close(self) -> None:
        """Close the connection when all events are sent; a command that reads none is not waited for."""
        self._writer.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._writer.wait_closed()
        except TimeoutError:  # it reads nothing
            self._writer.transport.abort()
        except OSError:
            pass


class Handler(Protocol):
    """Carries out what commands ask for (`app.App`)."""

    async def serve(self, client: Client) -> None: ...


class ControlServer:
    """Accepts commands on the control socket, and on a socket that the first command handed down.

    Args:
        path: the control socket.
        handler: serves each command to its end.
    """

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._clients: dict[Client, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Listen; the socket is this user's only.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            with socket_address(self._path) as address:
                self._server = await asyncio.start_unix_server(self._connected, address, limit=REQUEST_BYTES)
        finally:
            os.umask(before)

    async def adopt(self, inherited: socket.socket) -> None:
        """Serve the connection that the starting command made before there was a supervisor."""
        reader, writer = await asyncio.open_connection(sock=inherited, limit=REQUEST_BYTES)
        self._connected(reader, writer)

    def broadcast(self, event: Event, service: ServiceKey | None = None) -> None:
        """Send an event to every connected command.

        Args:
            service: what it is about; commands whom that does not concern are left out.
        """
        for client in self._clients:
            if service is None or client.interest is None or client.interest.concerns(service):
                client.send(event)

    @property
    def is_listening(self) -> bool:
        """Whether commands can connect, as long as nobody removes the socket."""
        return self._server is not None

    def stop_listening(self) -> None:
        """Accept no more commands and remove the socket; those that are connected stay."""
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
            await self._handler.serve(client)
        except Exception as error:  # no request may end without an answer, whatever went wrong here
            client.fail(error)
        finally:
            reading.cancel()
            self._clients.pop(client, None)
            await client.close()


def _unknown_request() -> LocalizeError:
    return LocalizeError(
        f"the supervisor with pid {os.getpid()} runs version {__version__}, which does not know this request",
        "`kubectl localize stop` first",
    )
