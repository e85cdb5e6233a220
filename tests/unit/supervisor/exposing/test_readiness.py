"""The answers to the readiness probes, and what the failsafes tell there."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from kubectl_localize.supervisor.exposing.readiness import MOST_CONNECTIONS, REQUEST_BYTES, ReadinessServer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from tests.unit.fakes.peers import NamedPeers

ME, ROOT, OTHER = 1000, 0, 1001


def probe(nonce: str) -> bytes:
    head = f"GET /ready/{nonce} HTTP/1.1\r\nHost: 10.0.0.1:2223\r\nUser-Agent: kube-probe/1.35\r\nAccept: */*"
    return f"{head}\r\nConnection: close\r\n\r\n".encode()


def told(nonce: str) -> bytes:
    head = f"GET /proven/{nonce} HTTP/1.1\r\nHost: localhost:2223\r\nUser-Agent: kubectl-localize-failsafe"
    return f"{head}\r\nAccept: */*\r\n\r\n".encode()


def server(owner: int | None = ME) -> ReadinessServer:
    """One whose clients belong to this user."""
    return ReadinessServer(Admission(NamedPeers(owner), ME, root=False), RefusalLog())


async def ask(number: int, request: bytes) -> bytes:
    """The first line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", number)
    with contextlib.closing(writer):
        writer.write(request)
        writer.write_eof()
        return (await reader.read()).partition(b"\r\n")[0]


YES, NO = b"HTTP/1.1 200 OK", b"HTTP/1.1 503 Service Unavailable"


async def test_it_answers_as_long_as_it_lives() -> None:
    heartbeat = server()
    heartbeat.expect("plain", failsafe=False)
    await heartbeat.listen()
    assert set(await asyncio.gather(*(ask(heartbeat.number, probe("plain")) for _ in range(5)))) == {YES}
    assert await ask(heartbeat.number, b"GET / HT") == b""
    number = heartbeat.number
    heartbeat.close()
    with pytest.raises(OSError, match=r"refused|Connect"):
        await ask(number, probe("plain"))


async def test_it_has_heard_of_a_session_when_a_pod_of_ours_asks_ready_or_not() -> None:
    heartbeat = server()
    heartbeat.expect("one", failsafe=True)
    await heartbeat.listen()
    assert await ask(heartbeat.number, probe("stranger")) == NO
    assert not heartbeat.heard.is_set(), "anybody on this machine can ask"
    assert await ask(heartbeat.number, probe("one")) == NO
    assert heartbeat.heard.is_set()
    heartbeat.close()


async def test_a_pod_is_ready_once_its_own_failsafe_has_told_of_its_proof() -> None:
    heartbeat = server()
    heartbeat.expect("one", failsafe=True)
    heartbeat.expect("two", failsafe=True)
    await heartbeat.listen()
    for stranger in (told("three"), told(""), told("one2"), b"GET / HTTP/1.1\r\n\r\n", b"\r\n\r\n"):
        assert await ask(heartbeat.number, stranger) == NO
    assert [await ask(heartbeat.number, probe(one)) for one in ("one", "two")] == [NO, NO]
    assert await ask(heartbeat.number, told("one")) == YES
    assert [await ask(heartbeat.number, probe(one)) for one in ("one", "two", "three")] == [YES, NO, NO]
    heartbeat.close()


def test_closing_what_never_listened() -> None:
    server().close()


# -- who is served, and how many ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("owner", [OTHER, ROOT, None])
async def test_others_are_not_served_and_make_no_pod_ready(owner: int | None) -> None:
    heartbeat = server(owner)
    heartbeat.expect("one", failsafe=True)
    await heartbeat.listen()
    answer = b""
    with contextlib.suppress(ConnectionError):  # a reset says as much as an end without a word
        answer = await ask(heartbeat.number, told("one"))
    assert answer == b""
    assert not heartbeat.heard.is_set()
    heartbeat.close()


async def test_who_says_nothing_makes_room_for_a_probe() -> None:
    heartbeat = server()
    heartbeat.expect("plain", failsafe=False)
    await heartbeat.listen()
    silent = [await asyncio.open_connection("127.0.0.1", heartbeat.number) for _ in range(MOST_CONNECTIONS + 5)]
    assert await ask(heartbeat.number, probe("plain")) == YES
    first, _ = silent[0]
    with contextlib.suppress(ConnectionError):
        assert await first.read() == b""
    heartbeat.close()
    for _, writer in silent:
        writer.close()


async def test_a_request_without_end_is_given_up() -> None:
    heartbeat = server()
    await heartbeat.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", heartbeat.number)
    with contextlib.suppress(ConnectionError):
        writer.write(b"GET /" + b"x" * (4 * REQUEST_BYTES))
        assert await reader.read() == b""
    writer.close()
    heartbeat.close()


async def test_closing_resets_what_is_open() -> None:
    heartbeat = server()
    await heartbeat.listen()
    reader, writer = await asyncio.open_connection("127.0.0.1", heartbeat.number)
    writer.write(b"GET ")
    await asyncio.sleep(0)
    heartbeat.close()
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.close()
