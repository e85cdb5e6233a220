"""The socket at which the supervisor and its helper meet."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from kubectl_localize.host import helper as helper_program
from kubectl_localize.host.helper_client import Helper
from kubectl_localize.host.sockets import socket_address
from kubectl_localize.json_text import parse_json

_HANDSHAKE_SECONDS = 5.0


def own_or_root(uid: int) -> bool:
    """Whether a process of this uid may be our helper: root, or this user if there is no sudo."""
    return uid in (0, os.getuid())


class HelperServer:
    """The socket that helpers connect to. One can be connected at a time; a new one may replace a dead one.

    Args:
        path: the Unix socket, in a directory that only the user can enter.
        uid_allowed: whether a process of this uid may be the helper.
        on_change: called with the helper that has connected, and with None when it is gone.

    Attributes:
        helper: the connected helper; None while there is none.
    """

    def __init__(
        self,
        path: Path,
        uid_allowed: Callable[[int], bool] = own_or_root,
        on_change: Callable[[Helper | None], None] = lambda helper: None,
    ) -> None:
        self.helper: Helper | None = None
        self._path = path
        self._uid_allowed = uid_allowed
        self._on_change = on_change
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen, or listen anew if somebody has removed the socket; a helper that is connected stays so.

        A socket that a killed supervisor left at the path is replaced.

        Raises:
            OSError: the socket cannot be made.
        """
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.setblocking(False)
            with socket_address(self._path) as address:
                listener.bind(address)
            self._path.chmod(0o600)
            listener.listen(8)
        except BaseException:
            listener.close()
            raise
        await self._stop_listening()
        self._listener = listener
        self._accepting = self._spawn(self._accept(listener))

    async def _stop_listening(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait((self._accepting,))
        if self._listener is not None:
            self._listener.close()
        self._accepting = self._listener = None

    async def close(self) -> None:
        """Stop listening, let the helper undo what it did and return when it has."""
        tasks, self._tasks = self._tasks, set()
        helper = self.helper
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._path.unlink(missing_ok=True)
        await self._stop_listening()
        if helper is not None:
            await helper.close()
            self._lost(helper)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            self._spawn(self._admit(connection))

    async def _admit(self, connection: socket.socket) -> None:
        """Check uid and hello of a process that has connected; if both are right, it is the helper until it goes."""
        helper: Helper | None = None
        try:
            if not self._uid_allowed(helper_program.unix_peer_uid(connection)):
                return
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                hello = await _read_line(connection)
            refusal = self._refusal(hello)
            reply = {"ok": False, "error": refusal} if refusal else {"ok": True}
            if not refusal:
                helper = self.helper = Helper(connection)
            await loop.sock_sendall(connection, json.dumps(reply).encode() + b"\n")
        except (OSError, ValueError, TimeoutError):
            if helper is not None:
                helper.abort()
        finally:
            if helper is None:
                connection.close()
        if helper is not None:
            if not helper.closed.is_set():
                self._on_change(helper)
            await helper.closed.wait()
            self._lost(helper)

    def _refusal(self, hello: Any) -> str:
        if not isinstance(hello, dict) or hello.get("op") != "hello":
            return "not a helper"
        if hello.get("version") != helper_program.PROTOCOL:
            return "another version of kubectl localize is installed as root's copy of the helper"
        if self.helper is not None and not self.helper.closed.is_set():
            return "another helper is connected"
        return ""

    def _lost(self, helper: Helper) -> None:
        if self.helper is helper:
            self.helper = None
            self._on_change(None)


async def _read_line(connection: socket.socket) -> Any:
    loop = asyncio.get_running_loop()
    received = b""
    while not received.endswith(b"\n"):
        piece = await loop.sock_recv(connection, 4096)
        if not piece or len(received) > 4096:
            raise ValueError("no hello")
        received += piece
    return parse_json(received)
