"""One HTTP/1.1 connection over a Unix socket: one exchange after the other; the last one may be a stream.

The framing is h11's: pure Python, 100 KB, 10 ms of import; `http.client` blocks, and would need a thread per watch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import h11

from kubectl_localize.errors import KubectlError

READ_BYTES = 256 * 1024
# More than any API server sends: etcd takes objects of 1.5 MB, and a page of a list has 1,000 of them, mostly of 2 kB.
MOST_BODY_BYTES = 256 * 1024 * 1024
MOST_LINE_BYTES = 16 * 1024 * 1024
HEADERS = (("Host", "localhost"), ("Accept", "application/json"))


@dataclass(frozen=True)
class Head:
    """The beginning of a response: status code and content type."""

    code: int
    content_type: str


class HttpConnection:
    """A connection that is either idle or in one exchange.

    Every method that waits raises `OSError` if the connection breaks or what comes is no HTTP.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @classmethod
    async def open(cls, address: str) -> HttpConnection:
        """Connect.

        Args:
            address: what to connect to: a path that is short enough for a Unix socket.
        """
        return cls(*await asyncio.open_unix_connection(address))

    async def send(self, method: str, target: str, body: bytes | None) -> Head:
        """Send a request and wait for the beginning of its response.

        Args:
            target: path and query.
            body: JSON; None sends a request without a body.
        """
        headers = list(HEADERS)
        if body is not None:
            content_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
            headers += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        self._write(h11.Request(method=method, target=target, headers=headers))
        if body:
            self._write(h11.Data(data=body))
        self._write(h11.EndOfMessage())
        await self._writer.drain()
        while True:
            event = await self._event()
            if isinstance(event, h11.Response):
                types = [value.decode("latin-1") for name, value in event.headers if name == b"content-type"]
                return Head(event.status_code, types[0] if types else "")
            if not isinstance(event, h11.InformationalResponse):
                raise ConnectionResetError("the connection has ended")

    async def body(self, most_bytes: int = MOST_BODY_BYTES) -> bytes:
        """The rest of the response; the connection is idle afterwards.

        Raises:
            KubectlError: it is longer than `most_bytes`.
        """
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > most_bytes:
                raise KubectlError(f"the API server sends more than {most_bytes} bytes at once")
        return bytes(body)

    async def lines(self, most_bytes: int = MOST_LINE_BYTES) -> AsyncIterator[bytes]:
        """The lines of the response as they come; a cut stream is one that has ended.

        Raises:
            KubectlError: a line is longer than `most_bytes`.
        """
        pending = b""
        with contextlib.suppress(OSError):
            async for piece in self.pieces():
                *lines, pending = (pending + piece).split(b"\n")
                for line in lines:
                    yield line
                if len(pending) > most_bytes:
                    raise KubectlError(f"the API server sends a line of more than {most_bytes} bytes")

    async def pieces(self) -> AsyncIterator[bytes]:
        """The rest of the response as it comes, in pieces of any size."""
        while isinstance(event := await self._event(), h11.Data):
            yield bytes(event.data)
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()

    @property
    def is_idle(self) -> bool:
        """Whether another request can be sent on it."""
        return self._http.states == {h11.CLIENT: h11.IDLE, h11.SERVER: h11.IDLE} and not self._reader.at_eof()

    def abort(self) -> None:
        """Close it at once; everybody waiting on it gets an `OSError`."""
        self._writer.transport.abort()

    def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)

    async def _event(self) -> object:
        """The next event of h11, which may also be one of its markers without content."""
        try:
            while True:
                event = self._http.next_event()
                if event is not h11.NEED_DATA:
                    return event
                self._http.receive_data(await self._reader.read(READ_BYTES))
        except h11.RemoteProtocolError as error:
            raise ConnectionResetError(str(error)) from error
