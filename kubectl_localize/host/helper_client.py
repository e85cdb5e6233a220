"""A connected helper as the supervisor sees it: requests out, replies and descriptors in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.sockets import RESERVED_BY_LISTENERS, is_reserved, too_many_files
from kubectl_localize.json_text import parse_json
from kubectl_localize.model import HostsLine

_REPLY_SECONDS = 30.0
_CLOSE_SECONDS = 10.0
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class HelperError(LocalizeError):
    """The helper could not do what it was asked for, or is gone."""


class DeniedError(HelperError):
    """The helper itself has not the rights (no root, or a read-only file system)."""


class AddressInUseError(HelperError):
    """Another process listens on that address and port."""


class Helper:
    """A connected helper. Requests are answered in their order, and any number may be under way.

    `HelperServer` makes them.

    Args:
        connection: to the helper, after the handshake.

    Attributes:
        closed: set when the connection is gone. The names are then gone, too; sockets that were passed live on.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.closed = asyncio.Event()
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._outgoing = bytearray()
        self._incoming = bytearray()
        self._waiting: deque[asyncio.Future[tuple[dict[str, Any], int | None]]] = deque()
        # An entry for each message that came with a descriptor; None if it was lost since no number was free.
        self._descriptors: deque[int | None] = deque()
        self._loop.add_reader(connection, self._receive)

    async def set_hosts(self, label: str, lines: Sequence[HostsLine]) -> None:
        """Make the managed block hold these lines; return when the file does.

        Args:
            label: what people call the context.
            lines: the block's; none removes it.

        Raises:
            DeniedError: the hosts file cannot be written.
            HelperError: it was refused for another reason, or the helper is gone.
        """
        entries = [{"address": line.address, "names": list(line.names)} for line in lines]
        self._result(*await self._ask({"op": "hosts", "label": label, "lines": entries}))

    async def alias(self, address: str, present: bool) -> None:
        """Add or drop the `lo0` alias that macOS needs for a loopback address; nothing happens on Linux.

        Args:
            address: of the range that addresses come from.
            present: whether to add it.

        Raises:
            HelperError: `ifconfig` failed, or the helper is gone.
        """
        self._result(*await self._ask({"op": "alias", "address": address, "present": present}))

    async def bind(self, address: str, port: int) -> socket.socket:
        """Return a non-blocking socket bound to this address and port (1 to 1023), not listening yet.

        Raises:
            AddressInUseError: another process listens there.
            DeniedError: the helper is not root.
            HelperError: it was refused for another reason, or the helper is gone.
        """
        (result,) = await self.bind_many([(address, port)])
        if isinstance(result, HelperError):
            raise result
        return result

    async def bind_many(self, wanted: Sequence[tuple[str, int]]) -> list[socket.socket | HelperError]:
        """Bind many addresses and ports at once.

        Args:
            wanted: pairs of address and port.

        Returns:
            For each of them, in their order, a socket or the error that `bind` would raise.
        """
        requests = [self._ask({"op": "bind", "address": address, "port": port}) for address, port in wanted]
        replies = await asyncio.gather(*requests, return_exceptions=True)
        results: list[socket.socket | HelperError] = []
        for (address, port), reply in zip(wanted, replies, strict=True):
            try:
                if isinstance(reply, BaseException):
                    raise reply
                results.append(_checked(self._result(*reply), address, port))
            except HelperError as error:
                results.append(error)
        return results

    async def close(self, timeout_seconds: float = _CLOSE_SECONDS) -> None:
        """Let the helper undo what it did, and return when it has; if that takes too long, cut the connection."""
        if not self.closed.is_set():
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self.closed.wait()
        self.abort()

    def abort(self) -> None:
        """Cut the connection at once; requests that are under way end with a HelperError."""
        if self.closed.is_set():
            return
        self.closed.set()
        self._loop.remove_reader(self._connection)
        self._loop.remove_writer(self._connection)
        self._connection.close()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(_gone())
        while self._descriptors:
            _close_descriptor(self._descriptors.popleft())

    def _ask(self, request: dict[str, Any]) -> asyncio.Future[tuple[dict[str, Any], int | None]]:
        """Send a request; the future's result is the reply and the descriptor that came with it."""
        future: asyncio.Future[tuple[dict[str, Any], int | None]] = self._loop.create_future()
        if self.closed.is_set():
            future.set_exception(_gone())
            return future
        deadline = self._loop.call_later(_REPLY_SECONDS, self.abort)
        future.add_done_callback(lambda _: deadline.cancel())
        self._waiting.append(future)
        if not self._outgoing:
            self._loop.call_soon(self._send)  # once for all requests that are made in a row
        self._outgoing += json.dumps(request).encode() + b"\n"
        return future

    def _send(self) -> None:
        if self.closed.is_set():
            return
        try:
            sent = self._connection.send(self._outgoing)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.abort()
            return
        del self._outgoing[:sent]
        if self._outgoing:
            self._loop.add_writer(self._connection, self._send)
        else:
            self._loop.remove_writer(self._connection)

    def _receive(self) -> None:
        try:
            data, descriptors, flags, _ = socket.recv_fds(self._connection, 65536, 8, _CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            self.abort()
            return
        self._descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC and not descriptors:
            self._descriptors.append(None)
        if not data:
            self.abort()
            return
        self._incoming += data
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = bytearray(rest)
        for line in lines:
            self._answered(bytes(line))

    def _answered(self, line: bytes) -> None:
        try:
            reply = parse_json(line)
            descriptor = self._descriptors.popleft() if reply.get("fd") else None
            future = self._waiting.popleft()
        except (ValueError, AttributeError, IndexError):
            self.abort()  # not our protocol: nothing that follows can be trusted
            return
        if future.done():  # cancelled
            _close_descriptor(descriptor)
        else:
            future.set_result((reply, descriptor))

    @staticmethod
    def _result(reply: dict[str, Any], descriptor: int | None) -> int | None:
        if reply.get("ok") is True:
            return descriptor
        _close_descriptor(descriptor)
        kinds = {"denied": DeniedError, "in-use": AddressInUseError}
        raise kinds.get(reply.get("kind", ""), HelperError)(str(reply.get("error", "the helper refused")))


def _checked(descriptor: int | None, address: str, port: int) -> socket.socket:
    """Return the passed descriptor as a socket, after a check that it is bound to what was asked for."""
    if descriptor is None:
        raise HelperError("too many open files", "raise the limit of open files (ulimit -n)")
    bound = socket.socket(fileno=descriptor)
    if is_reserved(descriptor, RESERVED_BY_LISTENERS):
        bound.close()
        raise HelperError(too_many_files())
    if bound.family != socket.AF_INET or bound.getsockname() != (address, port):
        bound.close()
        raise HelperError(f"the helper passed something else than {address}:{port}")
    bound.set_inheritable(False)
    bound.setblocking(False)
    return bound


def _close_descriptor(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _gone() -> HelperError:
    return HelperError("the privileged helper is gone", "run kubectl localize again: it asks for what it needs")
