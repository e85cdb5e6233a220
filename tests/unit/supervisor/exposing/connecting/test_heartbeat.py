"""The answer to the readiness probe, and what the failsafe tells there."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from kubectl_localize.supervisor.changed import Changed
from kubectl_localize.supervisor.exposing.connecting.heartbeat import Heartbeat

PROBE = b"GET / HTTP/1.1\r\nHost: 10.0.0.1:2223\r\nUser-Agent: kube-probe/1.35\r\nAccept: */*\r\n\r\n"
TOLD = b"GET /proven/abc12 HTTP/1.1\r\nHost: localhost:2223\r\nUser-Agent: curl/8.14.1\r\nAccept: */*\r\n\r\n"


async def ask(number: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    with contextlib.closing(writer):
        writer.write(request)
        writer.write_eof()
        return await reader.read()


def test_it_answers_as_long_as_it_lives() -> None:
    async def story() -> None:
        heartbeat = Heartbeat("/proven/abc12", Changed())
        await heartbeat.listen()
        answers = await asyncio.gather(*(ask(heartbeat.number, PROBE) for _ in range(5)))
        assert {answer.split(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
        assert await ask(heartbeat.number, b"GET / HT") == b""
        number = heartbeat.number
        heartbeat.close()
        with pytest.raises(OSError, match=r"refused|Connect"):
            await ask(number, PROBE)

    asyncio.run(story())


def test_it_hears_of_the_proof_of_this_sessions_failsafe_alone() -> None:
    async def story() -> None:
        changed = Changed()
        heartbeat = Heartbeat("/proven/abc12", changed)
        await heartbeat.listen()
        for other in (PROBE, TOLD.replace(b"abc12", b"abc123"), TOLD.replace(b"GET /", b"GET /x/"), b"\r\n\r\n"):
            await ask(heartbeat.number, other)
        assert (heartbeat.proven, changed.count) == (False, 0)
        assert (await ask(heartbeat.number, TOLD)).startswith(b"HTTP/1.1 200 OK")
        assert (heartbeat.proven, changed.count) == (True, 1)
        heartbeat.close()

    asyncio.run(story())


def test_closing_what_never_listened() -> None:
    Heartbeat("/proven/abc12", Changed()).close()
