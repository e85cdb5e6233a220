"""When a port-forward is doubted (pure), and what shows that it still carries something."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from kubectl_localize.supervisor.processes.liveness import LivenessCheck, still_carries

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.mark.parametrize(
    ("opened", "now", "due"),
    [
        ([], 110.0, False),
        ([104.5], 105.0, False),
        ([104.0], 105.0, True),
        ([99.0], 105.0, False),  # since then something came, on another connection
        ([99.0, 103.0], 105.0, True),
    ],
)
def test_it_is_doubted_if_nothing_has_come_since_a_connection_was_opened(
    opened: list[float], now: float, due: bool
) -> None:
    check = LivenessCheck()
    check.heard(100.0)
    assert check.is_due(opened, now) is due
    assert check.may_become_due(opened) is any(time >= 100.0 for time in opened)


def test_a_service_that_is_just_slow_is_not_checked_again_and_again() -> None:
    check = LivenessCheck()
    check.checked(100.0)
    check.heard(101.0)
    due = [check.is_due([102.0], now) for now in (103.5, 104.9, 105.0)]
    assert due == [False, False, True]


def test_only_connections_since_something_came_are_stuck() -> None:
    check = LivenessCheck()
    check.heard(100.0)
    assert check.stuck({"a": 90.0, "b": 100.0, "c": 101.0}) == ["b", "c"]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 hello\r\n")
    await reader.read()
    writer.close()


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize("serve", [ends, greets, resets])
async def test_anything_that_comes_back_shows_that_it_carries(serve: Serve) -> None:
    async with serving(serve) as port:
        assert await still_carries("127.0.0.1", port)


async def test_nothing_at_all_shows_that_it_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, and nobody reads
        assert not await still_carries("127.0.0.1", silent.getsockname()[1])


async def test_one_that_has_ended_is_another_matter() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert await still_carries("127.0.0.1", closed.getsockname()[1])
