"""The answer to the readiness probe."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from kubectl_localize.supervisor.exposing.connecting.heartbeat import Heartbeat


async def ask(number: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    with contextlib.closing(writer):
        writer.write(request)
        writer.write_eof()
        return await reader.read()


def test_it_answers_as_long_as_it_lives() -> None:
    async def story() -> None:
        heartbeat = Heartbeat()
        await heartbeat.listen()
        probe = b"GET / HTTP/1.1\r\nHost: 10.0.0.1:2223\r\nUser-Agent: kube-probe/1.35\r\nAccept: */*\r\n\r\n"
        answers = await asyncio.gather(*(ask(heartbeat.number, probe) for _ in range(5)))
        assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
        assert await ask(heartbeat.number, b"GET / HT") == b""
        number = heartbeat.number
        heartbeat.close()
        with pytest.raises(OSError, match=r"refused|Connect"):
            await ask(number, probe)

    asyncio.run(story())


def test_closing_what_never_listened() -> None:
    Heartbeat().close()
