"""Stands in for `kubectl proxy`: a process that listens on a Unix socket and answers HTTP by script."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

STREAM = "stream"  # a response that stays open after what was scripted
HANG = "hang"  # no response at all
DROP = "drop"  # the connection ends without a response


@dataclass(frozen=True)
class Reply:
    """A response: `how` is empty for a whole one, else one of the constants of this module."""

    code: int = 200
    document: Any = None
    how: str = ""
    lines: tuple[str, ...] = ()
    content_type: str = "application/json"


Script = Callable[[str, str, Any], Reply]  # by method, path and body


class ProxyProcess:
    """A running proxy; `end` is what a kill does to it."""

    def __init__(self, script: Script, tail: Sequence[str] = ()) -> None:
        self._script = script
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self.stdout = asyncio.StreamReader()
        self.tail = tail
        self.connections = 0

    async def listen(self, path: Path) -> None:
        """Listen, and say so."""
        self._server = await asyncio.start_unix_server(self._accept, path)
        self.stdout.feed_data(f"Starting to serve on {path.name}\n".encode())

    @property
    def alive(self) -> bool:
        return not self._ended.is_set()

    async def wait(self) -> int:
        await self._ended.wait()
        return 1

    async def stop(self) -> None:
        self.end()

    def end(self) -> None:
        """End at once, with all connections."""
        if not self.alive:
            return
        self._ended.set()
        self.stdout.feed_eof()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()
        if self._server is not None:
            self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        assert headers["host"] == "localhost"
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        reply = self._script(method, path, json.loads(body) if body else None)
        if reply.how == DROP:
            return False
        if reply.how == HANG:
            await asyncio.Event().wait()
        start = f"HTTP/1.1 {reply.code} OK\r\nContent-Type: {reply.content_type}\r\n"
        if reply.how == STREAM:
            writer.write(f"{start}Transfer-Encoding: chunked\r\n\r\n".encode())
            for line in reply.lines:
                writer.write(f"{len(line):x}\r\n{line}\r\n".encode())
            await asyncio.Event().wait()
        text = reply.document if isinstance(reply.document, str) else json.dumps(reply.document)
        writer.write(f"{start}Content-Length: {len(text)}\r\n\r\n{text}".encode())
        await writer.drain()
        return True


@dataclass
class ProxySpawner:
    """Starts such processes in a directory, and is also what a transport asks where they listen.

    Args:
        failures: stderr of processes that end at once, taken first.
        stderr: that of the others.
        may_start: cleared, a process listens only when it is set.
        opening: called once, when the next connection is about to be opened.
    """

    directory: Path
    script: Script
    failures: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)
    processes: list[ProxyProcess] = field(default_factory=list)
    argvs: list[Sequence[str]] = field(default_factory=list)
    may_start: asyncio.Event = field(default_factory=asyncio.Event)
    opening: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.may_start.set()

    def place(self, name: str) -> tuple[str, Path | None]:
        return str(self.directory / name), None

    async def spawn(
        self, argv: Sequence[str], *, directory: Path | None = None, variables: Mapping[str, str] = MappingProxyType({})
    ) -> ProxyProcess:
        self.argvs.append(argv)
        assert directory is None, "a shim looks for its files where the user is"
        if self.failures:
            process = ProxyProcess(self.script, [self.failures.pop(0)])
            process.end()
            return process
        process = ProxyProcess(self.script, self.stderr)
        self.processes.append(process)
        await self.may_start.wait()
        await process.listen(self.directory / argv[-1].removeprefix("--unix-socket="))
        return process

    @contextmanager
    def address(self, name: str) -> Iterator[str]:
        opening, self.opening = self.opening, None
        if opening is not None:
            asyncio.get_running_loop().call_soon(opening)
        yield str(self.directory / name)
