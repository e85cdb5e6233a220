"""What sudo is asked for, and what was started, in words."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cli.start import summary, wishes
from tests.unit.cli.samples import document, exposure, forward, port, webshop


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ({"hosts": True, "ports": [], "addresses": False}, ["write names to /etc/hosts"]),
        ({"hosts": False, "ports": [80], "addresses": False}, ["bind port 80"]),
        ({"hosts": True, "ports": [80, 443]}, ["write names to /etc/hosts", "bind ports 80, 443"]),
        ({"hosts": False, "ports": list(range(80, 87))}, ["bind ports 80, 81, 82, 83, 84 and 2 more"]),
        ({"hosts": False, "ports": [], "addresses": True}, ["add addresses to the loopback interface"]),
    ],
)
def test_wishes(needs: dict[str, Any], expected: list[str]) -> None:
    assert wishes(needs, "/etc/hosts") == expected


TAKEN = {"status": "Backoff", "reason": "127.71.4.19:80 is in use", "localPort": 0}


def test_the_summary_counts_forwards_once_and_names_what_cannot_be() -> None:
    assert summary(webshop(), "kind-dev") == "3 Services of context kind-dev forwarded (1 more cannot be forwarded)"


def test_the_summary_does_not_count_services_whose_ports_are_all_taken() -> None:
    found = document(
        forward("shop", "taken", port(80, 80, **TAKEN), port(53, 53, protocol="UDP", status="Skipped", localPort=0)),
        forward("shop", "in-part", port(80, 80, **TAKEN), port(81, 81)),
        forward("shop", "failing", port(80, 80, status="Backoff", reason="it ended")),
        forward("shop", "waiting", port(80, "http", status="Waiting", reason="no Ready pod", localPort=0)),
        exposure("shop", "waiting"),
    )
    assert summary(found, "dev") == "3 Services of context dev forwarded (1 more cannot be listened on here)"


def test_the_summary_of_nothing_but_taken_ports_is_none() -> None:
    found = document(forward("shop", "taken", port(80, 80, **TAKEN)))
    assert summary(found, "dev") == "0 Services of context dev forwarded (1 more cannot be listened on here)"
