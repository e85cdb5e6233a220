"""Parsers of what others send or write: whatever comes in, a value comes out or the error that is documented."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from kubectl_localize.cluster.api_errors import error_of_response
from kubectl_localize.cluster.kubeconfig import connection, merge, parse
from kubectl_localize.cluster.kubeconfig_content import KubeconfigContent
from kubectl_localize.cluster.store import ENDPOINT_SLICES, SERVICES
from kubectl_localize.cluster.watch import Listed, Put, Removed, Resource, Watch
from kubectl_localize.codec import CodecError
from kubectl_localize.errors import KubectlError, LocalizeError
from kubectl_localize.ls_document import LsDocument
from kubectl_localize.model import Options, Selection, ServiceKey
from kubectl_localize.protocol import (
    Answer,
    Event,
    ExposeRequest,
    Missed,
    PlanReady,
    Request,
    StartRequest,
    StopRequest,
    event_from_line,
    request_from_line,
    to_line,
)
from kubectl_localize.timing import Clock
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fuzz.effort import effort
from tests.unit.fuzz.json_values import VALUES, damaged
from tests.unit.supervisor.loop import play

REQUESTS: list[Request] = [
    StartRequest(CONNECTION, Selection(), Options()),
    ExposeRequest(CONNECTION, (ServiceKey("shop", "web"),), environment=("HOME",)),
    StopRequest(("shop/*",)),
    Answer(3, process_group=7),
]
EVENTS: list[Event] = [Missed("x"), PlanReady(("a", "b"))]
STATUS = {"kind": "Status", "reason": "NotFound", "message": "gone", "code": 404, "details": {"causes": []}}
SERVICE = {
    "metadata": {"namespace": "shop", "name": "web", "resourceVersion": "7", "labels": {"app": "web"}},
    "spec": {
        "type": "ClusterIP",
        "clusterIP": "10.0.0.1",
        "selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
    },
}
SLICE = {
    "metadata": {
        "namespace": "shop",
        "name": "web-1",
        "resourceVersion": "8",
        "labels": {"kubernetes.io/service-name": "web"},
    },
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    "endpoints": [
        {
            "addresses": ["10.1.0.2"],
            "hostname": "web-0",
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "name": "web-0", "namespace": "shop"},
        }
    ],
}
DOCUMENT = {
    "apiVersion": "localize/v1",
    "supervisors": [{"context": "dev", "pid": 1}],
    "items": [{"kind": "Forward", "ports": [{"port": 80}]}, {"kind": "Exposure"}],
}
KUBECONFIG = {
    "current-context": "dev",
    "contexts": [{"name": "dev", "context": {"cluster": "dev", "user": "me", "namespace": "shop"}}],
    "clusters": [{"name": "dev", "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority": "ca.crt"}}],
    "users": [{"name": "me", "user": {"exec": {"command": "./login", "interactiveMode": "Always"}}}],
}


class OneLine:
    """An API server with an empty list, whose watch sends one line and then breaks for good."""

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._sent = False

    async def request(self, method: str, path: str) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "1"}, "items": []}

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        if self._sent:
            raise OverError
        self._sent = True
        yield self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        yield self._line


class OverError(Exception):
    """The watch has come to its first pause or its second stream, and the test to its end."""


class Reachable:
    """An API server that is there."""

    async def wait_up(self) -> None:
        return


async def _stop(seconds: float) -> None:
    raise OverError


@effort(150)
@given(st.sampled_from([*REQUESTS, *EVENTS]), st.data())
def test_a_line_of_the_control_socket(message: Any, data: st.DataObject) -> None:
    read = request_from_line if message in REQUESTS else event_from_line
    assert read(to_line(message)) == message
    line = json.dumps(data.draw(damaged(json.loads(to_line(message))))).encode()
    with contextlib.suppress(CodecError):
        read(line)


@effort(100)
@given(st.binary(max_size=200))
@example(b"[" * 100_000)
@example(to_line(REQUESTS[1]).replace(b"600.0", b"1" + b"0" * 400))
@example(b'{"op": "answer", "question": ' + b"9" * 5000 + b"}")
def test_bytes_on_the_control_socket(line: bytes) -> None:
    for read in (request_from_line, event_from_line):
        with contextlib.suppress(CodecError):
            read(line)


@effort(150)
@given(damaged(DOCUMENT) | VALUES)
@example({"apiVersion": "localize/v1", "supervisors": [], "items": [{"kind": []}]})
def test_a_state_file(document: Any) -> None:
    with contextlib.suppress(CodecError):
        LsDocument.from_text(json.dumps(document))


@effort(150)
@given(st.integers(400, 599), damaged(STATUS) | VALUES)
@example(404, {"message": 5, "reason": []})
def test_a_status(code: int, status: Any) -> None:
    error = error_of_response(code, "application/json", json.dumps(status).encode())
    assert isinstance(error.message, str)
    assert error.message


@effort(50)
@given(st.integers(400, 599), st.binary(max_size=100))
def test_a_response_that_is_no_status(code: int, body: bytes) -> None:
    for content_type in ("application/json", "text/plain"):
        assert isinstance(error_of_response(code, content_type, body), KubectlError)


async def _watched(resource: Resource[Any], line: bytes) -> list[Any]:
    events: list[Any] = []
    clock = Clock(lambda: 0.0, _stop)
    watch = Watch(OneLine(line), resource, namespace="shop", selector="", reachability=Reachable(), clock=clock)
    with contextlib.suppress(OverError):
        async for event in watch.events():
            events.append(event)
            if len(events) == 3:
                break
    return events


@effort(200)
@given(
    st.sampled_from([(SERVICES, SERVICE), (ENDPOINT_SLICES, SLICE)]),
    st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]),
    st.data(),
)
def test_a_line_of_a_watch(kind: tuple[Resource[Any], Any], change: str, data: st.DataObject) -> None:
    resource, sound = kind
    line = json.dumps(data.draw(damaged({"type": change, "object": sound}))).encode()
    events: list[Any] = []

    async def collect() -> None:
        events.extend(await _watched(resource, line))

    play(collect())
    assert all(isinstance(event, Listed | Put | Removed) for event in events)


@effort(150)
@given(damaged(KUBECONFIG) | VALUES)
@example({**KUBECONFIG, "contexts": [{"name": "dev", "context": {"cluster": []}}]})
@example({**KUBECONFIG, "users": 5})
def test_a_kubeconfig(document: Any) -> None:
    text = json.dumps(document).encode()
    content = KubeconfigContent((("/home/me/.kube/config", text),))
    content.reread(CONNECTION)
    content.alone(CONNECTION)
    with contextlib.suppress(LocalizeError):
        known = connection(merge([parse(text)]), kubectl="kubectl", kubeconfig=["config"])
        for value in (known.server, known.namespace, known.proxy, known.cluster, known.user):
            assert isinstance(value, str)


TAGS = [
    "!!int",
    "!!float",
    "!!bool",
    "!!timestamp",
    "!!binary",
    "!!set",
    "!!omap",
    "!!pairs",
    "!!python/none",
    "&a",
    "*a",
]
YAML_PIECES = st.sampled_from(
    [*TAGS, " ", "\n", "- ", ": ", "? ", "<<: ", '""', "x", "0x", "2001-13-45", "[", "]", "{", "}", "\0"]
)


@effort(200)
@given(st.lists(YAML_PIECES | st.text(max_size=4), max_size=10).map("".join))
@example('!!int ""')
@example("!!bool x")
@example("!!timestamp x")
@example("[" * 10_000)
def test_yaml(text: str) -> None:
    merge([parse(text.encode("utf-8", "replace"))])
