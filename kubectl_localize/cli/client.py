"""The command's end of the control socket: reach a supervisor or start one, send requests, wait for events."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from kubectl_localize import __version__
from kubectl_localize.codec import CodecError
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import HOME_VARIABLE, RunPaths, make_private
from kubectl_localize.host.process import module_argv
from kubectl_localize.host.sockets import socket_address
from kubectl_localize.protocol import Event, Request, event_from_line, to_line

END_SECONDS = 30.0
ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.02
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


def connect(run: RunPaths) -> Control | None:
    """Connect to the supervisor that runs there; None if none answers."""
    with contextlib.ExitStack() as failing:
        connection = failing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            with socket_address(run.control) as address:
                connection.connect(address)
        except (OSError, LocalizeError):
            return None
        failing.pop_all()
    return Control(connection)


def spawn(run: RunPaths) -> Control:
    """Start a supervisor in a session of its own, connected to this command from its first moment.

    Raises:
        LocalizeError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs, os.fdopen(os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            subprocess.Popen(
                module_argv("kubectl_localize.supervisor", str(theirs.fileno()), run.key),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
                env={**os.environ, HOME_VARIABLE: str(run.directory.parent)},  # absolute: it is elsewhere
            )
    except OSError as error:
        ours.close()
        raise LocalizeError(f"the supervisor cannot be started: {error.strerror or error}") from error
    return Control(ours)


def reach(run: RunPaths) -> Control | None:
    """Connect to the supervisor that runs there, and wait if it is just starting or ending.

    Returns:
        None if none runs, or it has just ended.

    Raises:
        LocalizeError: it neither answers nor ends in half a minute.
    """
    from kubectl_localize.host.process import owner

    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        control = connect(run)
        if control is not None:
            return control
        if owner(run.pidfile) is None:
            return None
        time.sleep(POLL_SECONDS)
    pid = owner(run.pidfile)
    raise LocalizeError(
        f"the supervisor with pid {pid} does not answer", f"`kill {pid}` ends it; what it held is cleaned up then"
    )


def another(run: RunPaths) -> Control:
    """Connect to the supervisor that is just starting there, or start a new one if it is just ending.

    Raises:
        LocalizeError: as `reach` and `spawn`.
    """
    return reach(run) or spawn(run)


def wait_ended(run: RunPaths) -> bool:
    """Wait until the supervisor that holds the pidfile now has ended.

    Returns:
        False if it still runs after half a minute.
    """
    from kubectl_localize.host.process import wait_released

    return wait_released(run.pidfile, END_SECONDS)


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


@contextlib.contextmanager
def discard_new_state_dirs(paths: RunPaths, unused: Callable[[], bool]) -> Iterator[None]:
    """Make the state directories, and remove the new ones if the command fails before anybody has used them.

    Args:
        paths: of the context.
        unused: whether the command itself has left nothing there that explains the failure, such as a log.

    Raises:
        LocalizeError: they cannot be made private.
    """
    from kubectl_localize.host.process import owner

    directory = paths.directory
    new = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        make_private(directory.parent)
        make_private(directory)
        yield
    except LocalizeError:
        used = not unused() or paths.exposures.exists() or owner(paths.pidfile) is not None
        if directory in new and not used:
            shutil.rmtree(directory, ignore_errors=True)
        for path in new[1:]:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
