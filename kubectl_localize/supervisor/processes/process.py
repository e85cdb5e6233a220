"""One started process of ours: own session, stdin empty, pipes always drained, known to the guard."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from kubectl_localize.errors import SpawnError
from kubectl_localize.host.guard import signal_group
from kubectl_localize.timing import first_of

TAIL_LINES = 20
LINE_LIMIT_BYTES = 64 * 1024 * 1024
GRACE_SECONDS = 2.0
PIPES_SECONDS = 0.5
STDOUT, STDERR = 1, 2


class Groups(Protocol):
    """Ends our process groups when this process is gone (`host.group_ledger.GroupLedger`)."""

    def add(self, pgid: int) -> None: ...

    def remove(self, pgid: int) -> None: ...


class Process(asyncio.SubprocessProtocol):
    """A running child process; `Spawner.spawn` makes it.

    It counts as ended when it is reaped and its stderr is read, at the latest half a second after it was reaped: a
    grandchild such as an exec credential plugin may hold the pipe open, and is not waited for.

    Attributes:
        pid: its number, which is also that of its process group.
        stdout: what it writes there.
        spoke: set when it has written to stdout, or has ended.
    """

    def __init__(
        self,
        groups: Groups,
        on_error_line: Callable[[str], None] | None,
        killpg: Callable[[int, int], None] = os.killpg,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._groups = groups
        self._on_error_line = on_error_line
        self._killpg = killpg
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._partial = b""
        self._ended: asyncio.Future[int] = loop.create_future()
        self._giving_up: asyncio.TimerHandle | None = None
        self._transport: asyncio.SubprocessTransport | None = None
        self._open_pipes = {STDOUT, STDERR}
        self.pid = 0
        self.spoke = asyncio.Event()
        self.stdout = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)

    @property
    def tail(self) -> Sequence[str]:
        """The last 20 lines of stderr, oldest first."""
        return tuple(self._tail)

    @property
    def alive(self) -> bool:
        """Whether it has not been reaped yet."""
        return self._transport is not None and self._transport.get_returncode() is None

    async def wait(self) -> int:
        """Wait until it has ended.

        Returns:
            Its exit code; a negative one is the signal that ended it.
        """
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """End it: TERM to its group, a grace period of 2 s, then KILL; return when it has ended."""
        if self.alive:
            self._signal(signal.SIGTERM)
            await first_of(self._ended, timeout_seconds=GRACE_SECONDS, owned=False)
            if not self._ended.done():
                self._signal(signal.SIGKILL)
        await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Signal its group, or at least itself if the system refuses that."""
        if not signal_group(self.pid, number, self._killpg) and self.alive:
            with contextlib.suppress(OSError):
                os.kill(self.pid, number)

    # -- what the event loop calls ------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self.pid = self._transport.get_pid()
        self._groups.add(self.pid)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == STDOUT:
            self.stdout.feed_data(data)
            self.spoke.set()
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._error_line(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open_pipes.discard(fd)
        if fd == STDOUT:
            self.stdout.feed_eof()
        elif fd == STDERR and self._partial:
            self._error_line(self._partial)
            self._partial = b""
        self._settle()

    def process_exited(self) -> None:
        self._groups.remove(self.pid)
        self._giving_up = asyncio.get_running_loop().call_later(PIPES_SECONDS, self._close)
        self._settle()

    def _settle(self) -> None:
        if not self._open_pipes and not self.alive:
            self._close()

    def _close(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
        if self._ended.done() or self._transport is None:
            return
        self._ended.set_result(self._transport.get_returncode() or 0)
        self.spoke.set()
        if STDOUT in self._open_pipes:
            self.stdout.feed_eof()
        self._transport.close()

    def _error_line(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        self._tail.append(text)
        if self._on_error_line is not None:
            self._on_error_line(text)


class ProcessSpawner(Protocol):
    """Starts processes (`Spawner`; `CredentialGate`, which lets one kubectl go first)."""

    async def spawn(
        self,
        argv: Sequence[str],
        on_error_line: Callable[[str], None] | None = None,
    ) -> Process: ...


class Spawner:
    """Starts processes with one environment.

    Args:
        groups: is told of each process.
        environment: the variables of all of them.
        killpg: the system call that ends them.
        directory: where they start; if it is gone, in the nearest one above it. None means where this process is.
    """

    def __init__(
        self,
        groups: Groups,
        environment: Mapping[str, str],
        killpg: Callable[[int, int], None] = os.killpg,
        *,
        directory: Path | None = None,
    ) -> None:
        self._groups = groups
        self._environment = dict(environment)
        self._killpg = killpg
        self._directory = directory

    def use(self, environment: Mapping[str, str], directory: Path | None) -> None:
        """Start processes with these variables and there from now on."""
        self._environment = dict(environment)
        self._directory = directory

    async def spawn(
        self,
        argv: Sequence[str],
        on_error_line: Callable[[str], None] | None = None,
        *,
        directory: Path | None = None,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> Process:
        """Start a process in a session of its own, with nothing to read.

        Args:
            argv: the program and its arguments.
            on_error_line: takes each line that it writes to stderr.
            directory: where it starts; None means where all of them do.
            variables: of its environment, if the user's does not have them.

        Raises:
            SpawnError: it cannot be started at all.
        """
        loop = asyncio.get_running_loop()
        try:
            _, process = await loop.subprocess_exec(
                lambda: Process(self._groups, on_error_line, self._killpg),
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env={**variables, **self._environment},
                cwd=directory or _alive(self._directory),
            )
        except OSError as error:
            raise SpawnError(
                f"{argv[0]} cannot be started: {error.strerror or error}",
                f"check that `{argv[0]}` runs in a terminal, and that this machine is not out of processes or memory",
            ) from error
        return process


def _alive(directory: Path | None) -> Path | None:
    """The directory, or the nearest one above it that a process can start in."""
    if directory is None:
        return None
    return next((path for path in (directory, *directory.parents) if path.is_dir() and os.access(path, os.X_OK)), None)
