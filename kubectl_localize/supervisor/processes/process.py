"""One started process of ours: own session, stdin given whole or empty, pipes always drained, known to the guard."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, cast

TAIL_LINES = 20
LINE_LIMIT_BYTES = 64 * 1024 * 1024
GRACE_SECONDS = 2.0
STDIN, STDOUT, STDERR = 0, 1, 2


class Groups(Protocol):
    """What ends our process groups when this process is gone (`host.guard.Guard`)."""

    def add(self, pgid: int) -> None: ...

    def remove(self, pgid: int) -> None: ...


class Process(asyncio.SubprocessProtocol):
    """A running child process; `Spawner.spawn` makes it.

    It counts as ended when it is reaped and its stderr is read, at the latest half a second after it was reaped: a
    grandchild such as an exec credential plugin may hold the pipe open, and is not waited for. `spoke` is set when it
    has written to stdout, or has ended.
    """

    def __init__(self, groups: Groups, on_error_line: Callable[[str], None] | None) -> None:
        loop = asyncio.get_running_loop()
        self._groups = groups
        self._on_error_line = on_error_line
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._partial = b""
        self._ended: asyncio.Future[int] = loop.create_future()
        self._transport: asyncio.SubprocessTransport | None = None
        self._open_pipes = {STDOUT, STDERR}
        self.pid = 0
        self.spoke = asyncio.Event()
        self.stdout = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)

    @property
    def tail(self) -> Sequence[str]:
        """The last lines of stderr, oldest first."""
        return tuple(self._tail)

    @property
    def alive(self) -> bool:
        """Whether it has not been reaped yet."""
        return self._transport is not None and self._transport.get_returncode() is None

    async def wait(self) -> int:
        """Its exit code; negative: the signal that ended it."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """End it: TERM to its group, a grace period, then KILL; returns when it has ended."""
        if self.alive:
            self._signal(signal.SIGTERM)
            # Not `asyncio.timeout`: in Python 3.11 its end cancels a task that has been cancelled before.
            await asyncio.wait((self._ended,), timeout=GRACE_SECONDS)
            if not self._ended.done():
                self._signal(signal.SIGKILL)
        await self.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    # -- what the event loop calls ------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop once the process runs."""
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self.pid = self._transport.get_pid()
        self._groups.add(self.pid)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Called by the loop with what the process wrote."""
        if fd == STDOUT:
            self.stdout.feed_data(data)
            self.spoke.set()
            return
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._error_line(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Called by the loop at the end of a pipe."""
        self._open_pipes.discard(fd)
        if fd == STDOUT:
            self.stdout.feed_eof()
        elif fd == STDERR and self._partial:
            self._error_line(self._partial)
            self._partial = b""
        self._settle()

    def process_exited(self) -> None:
        """Called by the loop when the process has been reaped."""
        self._groups.remove(self.pid)
        self._settle()
        asyncio.get_running_loop().call_later(0.5, self._close)

    def _settle(self) -> None:
        if not self._open_pipes and not self.alive:
            self._close()

    def _close(self) -> None:
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


class Spawner:
    """Starts processes with one environment."""

    def __init__(self, groups: Groups, environment: Mapping[str, str]) -> None:
        self._groups = groups
        self._environment = dict(environment)

    async def spawn(
        self,
        argv: Sequence[str],
        on_error_line: Callable[[str], None] | None = None,
        stdin: bytes | None = None,
    ) -> Process:
        """Start `argv` in a session of its own, with `stdin` to read, or nothing.

        Raises: OSError where it cannot be started at all.
        """
        loop = asyncio.get_running_loop()
        transport, process = await loop.subprocess_exec(
            lambda: Process(self._groups, on_error_line),
            *argv,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env=self._environment,
        )
        if stdin is not None:
            pipe = cast(asyncio.WriteTransport, transport.get_pipe_transport(STDIN))
            pipe.write(stdin)
            pipe.close()  # once all of it is written
        return process


class SpawnProcess(Protocol):
    """Starts a process; stderr's lines go to the callback."""

    def __call__(
        self, argv: Sequence[str], on_error_line: Callable[[str], None] | None = None
    ) -> Awaitable[Process]: ...
