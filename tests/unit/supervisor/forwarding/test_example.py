"""What a start ends with: something to try."""

from __future__ import annotations

import pytest

from kubectl_localize.ls_document import ForwardItem
from kubectl_localize.supervisor.forwarding.example import example_of
from tests.unit.cli.samples import forward, port

WEB = forward("shop", "web", port(80, 8080), endpoints=("web-1",))
API = forward("shop", "api", port(9000, "http", local_port=9000), endpoints=("api-1",))
DATABASE = forward("shop", "db", port(5432, 5432), endpoints=("db-0",))
TLS = forward("shop", "tls", port(443, "https"), endpoints=("tls-1",))
EMPTY = forward("shop", "empty", port(80, 8080))


@pytest.mark.parametrize(
    ("items", "names_work", "example"),
    [
        ([DATABASE, WEB, API], True, "http://web/"),
        ([WEB], False, "http://127.71.4.19/"),
        ([API], True, "http://api:9000/"),
        ([forward("shop", "web", port(80, 8080, local_port=8080))], True, "http://web:8080/"),
        ([EMPTY, DATABASE], True, "db:5432"),
        ([EMPTY], True, "http://empty/"),
        ([TLS], True, "tls:443"),
        ([forward("shop", "web", port(80, 80), hostnames=())], True, "http://127.71.4.19/"),
        ([forward("shop", "web", port(80, 80, local_port=0))], True, ""),
        ([], True, ""),
    ],
)
def test_what_is_to_be_tried(items: list[ForwardItem], names_work: bool, example: str) -> None:
    assert example_of(items, names_work=names_work) == example
