"""Requests and events: what one side writes the other side reads, and nothing else."""

from __future__ import annotations

import json

import pytest

from kubectl_localize.codec import CodecError
from kubectl_localize.ls_document import (
    ExposureItem,
    ExposurePort,
    ForwardCounts,
    ForwardItem,
    ForwardPort,
    HostsState,
    LsDocument,
    Status,
    SupervisorItem,
)
from kubectl_localize.model import Connection, Options, PortMap, Selection, ServiceKey
from kubectl_localize.protocol import (
    Accepted,
    Answer,
    CommandWanted,
    Event,
    ExposeRequest,
    Failed,
    LoginNeeded,
    PrivilegesNeeded,
    Ready,
    Released,
    ReleaseRequest,
    Request,
    StartRequest,
    event_from_line,
    request_from_line,
    to_line,
)

CONNECTION = Connection("/usr/bin/kubectl", ("/home/ada/.kube/config",), "kind-dev", "shop", "https://127.0.0.1:6443")
WEB_PORT = ForwardPort("http", 80, 8080, "http", "TCP", Status.ACTIVE)
DOCUMENT = LsDocument(
    (SupervisorItem("kind-dev", 4711, "2026-11-28T00:00:00Z", "1.0", HostsState.WRITTEN, 1),),
    (
        ForwardItem(
            "kind-dev",
            "shop",
            "web",
            Status.ACTIVE,
            ports=(ForwardPort("http", 80, 8080, "http", "TCP", Status.ACTIVE),),
        ),
        ExposureItem("kind-dev", "shop", "cart", Status.EXPOSED, ports=(ExposurePort(80, 3000, "127.0.0.1:3000"),)),
    ),
)


@pytest.mark.parametrize(
    "request_",
    [
        StartRequest(
            CONNECTION, Selection(("shop",), patterns=("web",)), Options(idle_timeout_seconds=5.0), detach=True
        ),
        ExposeRequest(CONNECTION, (ServiceKey("shop", "cart"),), (PortMap("", "::1", 3000, "http"),), keep=True),
        ReleaseRequest(),
        Answer(3, granted=False),
    ],
)
def test_a_request_arrives_as_it_was_sent(request_: Request) -> None:
    assert request_from_line(to_line(request_)) == request_


@pytest.mark.parametrize(
    "event",
    [
        Accepted(),
        Failed("it failed", "do this"),
        PrivilegesNeeded(7, hosts=True, ports=(80, 443)),
        LoginNeeded(2),
        CommandWanted(1, (("A", "1"), ("B", "=\n"))),
        Ready(ForwardCounts(3, 1), DOCUMENT),
        Released(ending=True),
    ],
)
def test_an_event_arrives_as_it_was_sent(event: Event) -> None:
    assert event_from_line(to_line(event)) == event


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"3", "no object"),
        (b"{}", "no op None"),
        (b'{"op": ["stop"]}', "no op"),
        (b'{"op": "fly"}', "no op 'fly'"),
        (b'{"op": "answer"}', "has no question"),
        (b'{"op": "answer", "question": "1"}', "question is '1'"),
        (b'{"op": "answer", "question": true}', "question is True"),
        (b'{"op": "stop", "all": true}', "unknown all"),
        (b'{"op": "unexpose", "services": {}}', "services is no list"),
        (b'{"op": "unexpose", "services": [{"namespace": "shop"}]}', r"services\[0\] has no name"),
    ],
)
def test_what_is_no_request_is_said(line: bytes, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        request_from_line(line)


def test_what_a_newer_supervisor_adds_to_an_event_does_no_harm() -> None:
    assert event_from_line(b'{"event": "step", "text": "done", "took": 3}') == event_from_line(
        b'{"event": "step", "text": "done"}'
    )


def test_the_document_has_the_keys_of_the_contract_in_their_order() -> None:
    document = json.loads(json.dumps(DOCUMENT.to_json()))
    assert list(document) == ["apiVersion", "kind", "supervisors", "items"]
    assert [*document["supervisors"][0]][:6] == ["context", "pid", "startedAt", "version", "hosts", "children"]
    assert [*document["items"][0]][:9] == [
        "kind", "context", "namespace", "name", "status", "reason", "address", "pods", "hostnames",
    ]  # fmt: skip
    assert document["items"][0]["ports"][0]["targetPort"] == "http"
    assert LsDocument.from_json(document) == DOCUMENT


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("[]", "no document"),
        ('{"apiVersion": "localize/v2"}', "apiVersion is 'localize/v2'"),
        ('{"apiVersion": "localize/v1"}', "no lists"),
        ('{"apiVersion": "localize/v1", "supervisors": [], "items": [3]}', "neither Forward nor Exposure"),
        ('{"apiVersion": "localize/v1", "supervisors": [], "items": [{"kind": "Forward"}]}', "items has no context"),
        (
            '{"apiVersion": "localize/v1", "supervisors": [], "items": [{"kind": "Exposure", "context": "c",'
            ' "namespace": "n", "name": "x", "status": "Flying"}]}',
            "status is 'Flying'",
        ),
    ],
)
def test_what_is_no_document_is_said(text: str, why: str) -> None:
    with pytest.raises(CodecError, match=why):
        LsDocument.from_text(text)
