"""Requests over `kubectl proxy`, whatever happens to it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cluster.transport import Transport
from kubectl_localize.errors import (
    ForbiddenError,
    KubectlError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.model import Connection
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.proxy import DROP, HANG, STREAM, ProxySpawner, Reply, Script
from tests.unit.supervisor.loop import until

FORBIDDEN = Reply(403, {"kind": "Status", "reason": "Forbidden", "message": "no", "code": 403})
UNAUTHORIZED = Reply(401, {"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized", "code": 401})


class OpenGate:
    """Admits everybody."""

    @asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        yield


class Stage:
    """A transport whose proxies answer by script; `asked` are the requests that they got."""

    def __init__(self, directory: Path, script: Script, connection: Connection = CONNECTION) -> None:
        self._script = script
        self.asked: list[tuple[str, str, Any]] = []
        self.spawner = ProxySpawner(directory, self._answer)
        self.transport = Transport(connection, sockets=self.spawner, spawner=self.spawner, gate=OpenGate())

    def _answer(self, method: str, path: str, body: Any) -> Reply:
        self.asked.append((method, path, body))
        return self._script(method, path, body)

    @property
    def proxies(self) -> int:
        """How many were started."""
        return len(self.spawner.processes)


@asynccontextmanager
async def staged(directory: Path, script: Script, connection: Connection = CONNECTION) -> AsyncIterator[Stage]:
    stage = Stage(directory, script, connection)
    try:
        yield stage
    finally:
        await stage.transport.close()
        assert not any(process.alive for process in stage.spawner.processes)
        assert os.listdir(directory) == []


def ok(method: str, path: str, body: Any) -> Reply:
    return Reply(200, {"path": path})


async def test_requests_share_one_proxy_and_one_connection(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        assert await stage.transport.request("GET", "/api/v1/pods?limit=1") == {"path": "/api/v1/pods?limit=1"}
        await stage.transport.request("POST", "/api/v1/pods", {"a": "é" * 10})
        await stage.transport.request("DELETE", "/api/v1/pods/x", {})
        assert stage.asked == [
            ("GET", "/api/v1/pods?limit=1", None),
            ("POST", "/api/v1/pods", {"a": "é" * 10}),
            ("DELETE", "/api/v1/pods/x", {}),
        ]
        assert [process.connections for process in stage.spawner.processes] == [1]
        assert stage.spawner.argvs[0][-2:] == ["proxy", f"--unix-socket={tmp_path}/api-1.sock"]


async def test_many_at_once_start_one_proxy(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        await asyncio.gather(*(stage.transport.request("GET", f"/api/v1/pods/{number}") for number in range(20)))
        assert stage.proxies == 1


async def test_the_first_request_uses_the_proxy_that_was_begun(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        await stage.transport.begin()
        assert stage.proxies == 1
        await stage.transport.request("GET", "/x")
        assert stage.proxies == 1


async def test_a_proxy_that_was_begun_and_not_used_is_ended(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        await stage.transport.begin()


async def test_the_path_of_the_servers_url_goes_first(tmp_path: Path) -> None:
    rancher = replace(CONNECTION, server="https://rancher.example.com/k8s/clusters/c-1/")
    async with staged(tmp_path, ok, rancher) as stage:
        await stage.transport.request("GET", "/version")
        assert stage.asked[0][1] == "/k8s/clusters/c-1/version"


async def test_failures_are_errors_by_their_status(tmp_path: Path) -> None:
    async with staged(tmp_path, lambda *_: FORBIDDEN) as stage:
        with pytest.raises(ForbiddenError, match="no"):
            await stage.transport.request("GET", "/api/v1/pods")
        with pytest.raises(ForbiddenError, match="no"):
            async with stage.transport.stream("/api/v1/pods?watch=1"):
                pass


@pytest.mark.parametrize("document", ["Success!", "[1]"])
async def test_an_answer_that_is_no_object_is_an_error(tmp_path: Path, document: str) -> None:
    async with staged(tmp_path, lambda *_: Reply(200, document)) as stage:
        with pytest.raises(KubectlError, match="answer to GET /x is no"):
            await stage.transport.request("GET", "/x")


async def test_a_request_that_is_refused_as_unauthorized_is_made_once_more(tmp_path: Path) -> None:
    """After such an answer kubectl runs the credential plugin anew, for the next request."""
    replies = [UNAUTHORIZED, Reply(200, {"made": 1}), UNAUTHORIZED, UNAUTHORIZED]
    async with staged(tmp_path, lambda *_: replies.pop(0)) as stage:
        assert await stage.transport.request("POST", "/x", {}) == {"made": 1}
        with pytest.raises(UnauthorizedError, match="provide credentials"):
            await stage.transport.request("POST", "/x", {})


async def test_what_a_credential_plugin_says_is_passed_on(tmp_path: Path) -> None:
    """The response says only that it failed."""
    text = "getting credentials: exec: executable login failed with exit code 1"
    async with staged(tmp_path, lambda *_: Reply(500, text, content_type="text/plain; charset=utf-8")) as stage:
        stage.spawner.stderr = [
            "your session has expired, run `login`",
            f"E1128 00:47:22.871220   25859 x.go:1] {text}",
        ]
        with pytest.raises(UnauthorizedError, match="exit code 1: your session has expired, run `login`"):
            await stage.transport.request("GET", "/x")


async def test_an_answer_that_does_not_come_in_time(tmp_path: Path) -> None:
    async with staged(tmp_path, lambda *_: Reply(how=HANG)) as stage:
        with pytest.raises(UnreachableError, match="does not answer within 0"):
            await stage.transport.request("GET", "/x", timeout_seconds=0.05)
        with pytest.raises(UnreachableError, match="does not answer within 0"):
            async with stage.transport.stream("/x", timeout_seconds=0.05):
                pass


async def test_a_proxy_that_was_killed_is_started_again(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        await stage.transport.request("GET", "/x")
        stage.spawner.processes[0].end()
        await stage.transport.request("POST", "/x", {})
        assert stage.proxies == 2


async def test_a_read_whose_connection_breaks_is_asked_again_and_a_write_is_not(tmp_path: Path) -> None:
    replies = [Reply(how=DROP), Reply(200, {}), Reply(how=DROP)]
    async with staged(tmp_path, lambda *_: replies.pop(0)) as stage:
        await stage.transport.request("GET", "/x")
        with pytest.raises(UnreachableError, match="broke"):
            await stage.transport.request("POST", "/x", {})
        assert [method for method, _, _ in stage.asked] == ["GET", "GET", "POST"]


async def test_a_read_on_a_connection_that_kubectl_gives_up_is_asked_again_and_a_write_is_not(tmp_path: Path) -> None:
    lost = Reply(502, "http2: client connection lost")
    replies = [lost, Reply(200, {}), lost, Reply(502, "dial tcp 10.0.0.1:6443: connect: connection refused")]
    async with staged(tmp_path, lambda *_: replies.pop(0)) as stage:
        await stage.transport.request("GET", "/x")
        with pytest.raises(UnreachableError, match="connection lost"):
            await stage.transport.request("POST", "/x", {})
        with pytest.raises(UnreachableError, match="refused"):
            await stage.transport.request("GET", "/x")
        assert [method for method, _, _ in stage.asked] == ["GET", "GET", "POST", "GET"]


async def test_a_proxy_that_does_not_start_says_why(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        stage.spawner.failures = ['error: invalid port ":99999x" after host']
        with pytest.raises(KubectlError, match='invalid port ":99999x" after host'):
            await stage.transport.request("GET", "/x")
        await stage.transport.request("GET", "/x")


async def test_lines_of_a_stream_come_as_they_are_sent(tmp_path: Path) -> None:
    pieces = ('{"a":1}\n{"b"', ":2}\n", '{"half')
    async with (
        staged(tmp_path, lambda *_: Reply(how=STREAM, lines=pieces)) as stage,
        stage.transport.stream("/watch") as lines,
    ):
        assert await anext(lines) == b'{"a":1}'
        assert await anext(lines) == b'{"b":2}'
        stage.spawner.processes[0].end()
        assert [line async for line in lines] == [], "a cut stream has ended; half a line is none"


async def test_renewing_ends_streams_and_moves_reads_to_a_new_proxy(tmp_path: Path) -> None:
    replies = [Reply(how=STREAM, lines=("{}\n",)), Reply(how=HANG), Reply(200, {"fresh": True})]
    async with staged(tmp_path, lambda *_: replies.pop(0)) as stage, stage.transport.stream("/watch") as lines:
        await anext(lines)
        reading = asyncio.create_task(stage.transport.request("GET", "/x"))
        await until(lambda: len(stage.asked) == 2)
        stage.transport.renew(replace(CONNECTION, context="other"))
        assert [line async for line in lines] == []
        assert await reading == {"fresh": True}
        assert stage.proxies == 2
        assert "--context=other" in stage.spawner.argvs[1]


async def test_renewing_lets_a_write_come_to_its_end(tmp_path: Path) -> None:
    async with staged(tmp_path, lambda *_: Reply(how=HANG)) as stage:
        writing = asyncio.create_task(stage.transport.request("POST", "/x", {}, timeout_seconds=0.2))
        await until(lambda: stage.asked)
        stage.transport.renew()
        await asyncio.sleep(0)
        assert stage.spawner.processes[0].alive
        with pytest.raises(UnreachableError, match="does not answer within"):
            await writing


async def test_a_cancelled_request_leaves_its_connection_to_nobody(tmp_path: Path) -> None:
    replies = [Reply(how=HANG), Reply(200, {"second": True})]
    async with staged(tmp_path, lambda *_: replies.pop(0)) as stage:
        asking = asyncio.create_task(stage.transport.request("GET", "/x"))
        await until(lambda: stage.asked)
        asking.cancel()
        await asyncio.wait((asking,))
        assert await stage.transport.request("GET", "/y") == {"second": True}


async def test_after_its_end_it_starts_nothing(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        await stage.transport.close()
        with pytest.raises(KubectlError):
            await stage.transport.request("GET", "/x")
        assert stage.proxies == 0


async def test_a_proxy_that_is_renewed_while_it_starts_is_not_used(tmp_path: Path) -> None:
    """It may have read the kubeconfig before that changed."""
    async with staged(tmp_path, ok) as stage:
        stage.spawner.may_start.clear()
        asking = asyncio.create_task(stage.transport.request("POST", "/x", {}))
        await until(lambda: stage.spawner.argvs)
        stage.transport.renew(replace(CONNECTION, context="other"))
        stage.spawner.may_start.set()
        await asking
        assert "--context=other" in stage.spawner.argvs[1]
        assert (stage.spawner.processes[0].connections, stage.spawner.processes[1].connections) == (0, 1)


async def test_a_proxy_that_was_begun_and_then_renewed_is_not_used(tmp_path: Path) -> None:
    async with staged(tmp_path, ok) as stage:
        await stage.transport.begin()
        stage.transport.renew(replace(CONNECTION, context="other"))
        await stage.transport.request("POST", "/x", {})
        assert "--context=other" in stage.spawner.argvs[1]
        assert (stage.spawner.processes[0].connections, stage.spawner.processes[1].connections) == (0, 1)


async def test_a_stream_that_is_being_opened_when_the_proxy_is_renewed_does_not_stay_on_the_old_one(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, lambda *_: Reply(how=STREAM, lines=("{}\n",))) as stage:
        async with stage.transport.stream("/watch"):
            pass
        stage.spawner.opening = stage.transport.renew
        with pytest.raises(UnreachableError, match="replaced"):
            async with stage.transport.stream("/watch"):
                pass
        await until(lambda: not stage.spawner.processes[0].alive)
