"""What stands in the cells of the table."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cli.listing.cells import (
    age_text,
    exposed_port_text,
    first_and_more,
    port_text,
    seconds_since,
    size_text,
)
from tests.unit.cli.samples import EIGHT_MINUTES_AGO, NOW, port


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (port(80, 8080), "80->8080"),
        (port(5672, 5672), "5672"),
        (port(80, "http"), "80->http"),
        (port(80, "http", localPort=8080), "8080:80->http"),
        (port(80, 80, localPort=8080), "8080:80"),
        (port(80, 0), "80"),
        (port(53, 53, protocol="UDP"), "53/UDP"),
        (port(53, 5353, protocol="UDP", localPort=0), "53->5353/UDP"),
        (port(38412, 38412, protocol="SCTP"), "38412/SCTP"),
        ({"port": 80}, "80"),
        ({"port": 80, "localPort": None, "targetPort": None, "protocol": None}, "80"),
    ],
)
def test_ports(given: dict[str, Any], text: str) -> None:
    assert port_text(given) == text


def test_exposed_port() -> None:
    assert exposed_port_text({"port": 80, "targetPort": 3000, "local": "127.0.0.1:3000"}) == "80->127.0.0.1:3000"


@pytest.mark.parametrize(
    ("values", "shown", "space", "text"),
    [
        ([], 1, True, "<none>"),
        (["a"], 1, True, "a"),
        (["a", "b"], 1, True, "a +1"),
        (["a", "a"], 1, True, "a"),
        (["a", "b", "c", "d", "e"], 2, False, "a,b,+3"),
        (["a", "b"], 2, False, "a,b"),
    ],
)
def test_first_and_more(values: list[str], shown: int, space: bool, text: str) -> None:
    assert first_and_more(values, shown, space=space) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "<none>"), (-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (150, "2m30s"), (480, "8m"),
        (599, "9m59s"), (600, "10m"), (3600, "60m"), (10799, "179m"), (10800, "3h"), (3 * 3600 + 1800, "3h30m"),
        (8 * 3600 + 1800, "8h"), (47 * 3600, "47h"), (48 * 3600, "2d"), (50 * 3600, "2d2h"), (8 * 86400 + 3600, "8d"),
        (400 * 86400, "400d"), (740 * 86400, "2y10d"), (9 * 365 * 86400, "9y"),
    ],
)  # fmt: skip
def test_ages_are_kubectls(seconds: float | None, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [(EIGHT_MINUTES_AGO, 480), ("2026-01-02T11:59:59.5Z", 0.5), ("", None), (None, None), ("x", None),
     ("2026-01-02T11:52:00", None)],
)  # fmt: skip
def test_seconds_since(moment: str | None, seconds: float | None) -> None:
    assert seconds_since(moment, NOW) == seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (1536, "1.5KiB"), (20 * 2**20, "20MiB"), (2**20 - 1, "1.0MiB"),
     (3 * 2**40, "3.0TiB")],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text
