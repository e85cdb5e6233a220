"""The command's end of the control socket: it sends requests and waits for events."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

from kubectl_localize import __version__
from kubectl_localize.codec import CodecError
from kubectl_localize.errors import LocalizeError
from kubectl_localize.protocol import Event, Request, event_from_line, to_line

ANSWER_SECONDS = 10.0
RECEIVE_BYTES = 65536


class Control:
    """A connection to a supervisor: requests go out, events come in, each one JSON object a line."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._patience: float | None = None
        self._lines: list[bytes] = []
        self._partial = b""
        self.closed = False  # by the supervisor; it may be gone

    def send(self, request: Request) -> None:
        """Send a request; if the supervisor is gone, the events end."""
        try:
            self._connection.sendall(to_line(request))
        except OSError:
            return

    def patient(self, seconds: float | None) -> None:
        """Wait so long for each event from now on; None: for ever. When the time is up, the events end."""
        self._patience = seconds

    def fileno(self) -> int:
        """The descriptor for `select`. It does not show events that were already received: see `waiting`."""
        return self._connection.fileno()

    @property
    def is_open(self) -> bool:
        """Whether this command has not closed it."""
        return self._connection.fileno() != -1

    @property
    def waiting(self) -> bool:
        """Whether an event is here already."""
        return bool(self._lines)

    def next(self) -> Event | None:
        """The next event; None if the supervisor has closed the connection, is gone, or does not answer in time.

        Raises:
            LocalizeError: it sends what this version does not know.
        """
        deadline = None if self._patience is None else time.monotonic() + self._patience
        try:
            while not self._lines:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return None
                if not readable([self._connection], left):
                    continue
                data = self._connection.recv(RECEIVE_BYTES)
                if not data:
                    self.closed = True
                    return None
                *lines, self._partial = (self._partial + data).split(b"\n")
                self._lines += lines
        except OSError:
            self.closed = True
            return None
        try:
            return event_from_line(self._lines.pop(0))
        except CodecError as error:
            raise LocalizeError(
                f"version {__version__} does not understand what the supervisor sent: {error}",
                "`kubectl localize stop` ends a supervisor of another version",
            ) from error

    def events(self) -> Iterator[Event]:
        """Events as they come, until `next` has no more."""
        while (event := self.next()) is not None:
            yield event

    def close(self) -> None:
        """Close the connection; the supervisor then ends what only this command held."""
        self._connection.close()


class HasFileno(Protocol):
    """What `select` takes."""

    def fileno(self) -> int: ...


Source = TypeVar("Source", bound=HasFileno)


def readable(sources: Sequence[Source], seconds: float | None) -> list[Source]:
    """Wait until one of the sources has something to read, or a signal comes; for the main thread.

    Python runs signal handlers between its own instructions. If a signal comes just before the system waits, a plain
    `recv` or `select` would sleep on; this returns as soon as the handler has run.

    Args:
        sources: what to wait for.
        seconds: how long to wait; None: for ever.

    Returns:
        The sources that have something to read; none if the time is over or a signal came.

    Raises:
        BaseException: what a signal's handler raises, such as KeyboardInterrupt.
    """
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    before = signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    try:
        waited: list[int | HasFileno] = [woken, *sources]
        ready = select.select(waited, [], [], seconds)[0]
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wakes)
    return [source for source in sources if source in ready]
