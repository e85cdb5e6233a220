"""One HTTP connection: what comes in is bounded, whoever sends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubectl_localize.cluster.http_connection import HttpConnection
from kubectl_localize.errors import KubectlError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


@asynccontextmanager
async def answered(directory: Path, *pieces: bytes) -> AsyncIterator[HttpConnection]:
    """A connection whose request is answered by these pieces, and then by an end of stream."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            for piece in (HEAD, *pieces):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    path = str(directory / "api.sock")
    async with await asyncio.start_unix_server(answer, path):
        connection = await HttpConnection.open(path)
        head = await connection.send("GET", "/api", None)
        assert head.code == 200
        try:
            yield connection
        finally:
            connection.abort()


async def test_lines_come_whole_however_they_are_sent(tmp_path: Path) -> None:
    async with answered(tmp_path, b'{"a":', b'1}\n{"b":2}\n', b"rest") as connection:
        assert [line async for line in connection.lines()] == [b'{"a":1}', b'{"b":2}']


async def test_a_line_without_end_is_given_up(tmp_path: Path) -> None:
    async with answered(tmp_path, b"first\n", *[b"x" * 1000] * 100) as connection:
        lines = connection.lines(most_bytes=10_000)
        assert await anext(lines) == b"first"
        with pytest.raises(KubectlError, match="a line of more than 10000 bytes"):
            await anext(lines)


async def test_a_body_without_end_is_given_up(tmp_path: Path) -> None:
    async with answered(tmp_path, *[b"x" * 1000] * 100) as connection:
        with pytest.raises(KubectlError, match="more than 10000 bytes at once"):
            await connection.body(most_bytes=10_000)


async def test_a_body_that_fits(tmp_path: Path) -> None:
    async with answered(tmp_path, b"{", b"}") as connection:
        assert await connection.body(most_bytes=2) == b"{}"
