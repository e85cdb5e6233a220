"""The table of `ls`."""

from __future__ import annotations

import re

import pytest

from kubectl_localize.cli.listing.document import merge
from kubectl_localize.cli.listing.table import (
    Style,
    age_text,
    first_and_more,
    render_table,
    rows_of,
    seconds_since,
    size_text,
)
from kubectl_localize.ls_document import ForwardPod, ForwardPort, HostsState, Item, Status
from tests.unit.cli.samples import EIGHT_MINUTES_AGO, NOW, child, document, exposure, forward, port, webshop

CONTRACT = """\
NAMESPACE   NAME    STATUS    ADDRESS       HOST     PORT(S)              ENDPOINT               AGE      REASON
webshop     cart    Exposed   127.66.14.2   cart     80->127.0.0.1:3000   localize-cart-x7k2p    2m
webshop     dns     Skipped   <none>        <none>   53/UDP               <none>                 <none>   UDP cannot be\
 forwarded
webshop     queue   Waiting   127.83.10.7   queue    5672                 <none>                 8m       no Ready pod
webshop     web     Active    127.71.4.19   web      80->8080,443->8443   web-6767cc67f4-42xr6   8m
"""

A, B = child("a"), child("b")


def test_the_contracts_table() -> None:
    assert render_table(webshop(), Style(), NOW) == CONTRACT


def test_nothing_to_show() -> None:
    assert render_table(document(), Style(width=80), NOW) == ""


def test_context_comes_first_where_there_are_several() -> None:
    both = merge([document(forward("a", "web", port(80, 80)), context=context) for context in ("prod", "dev")])
    lines = render_table(both, Style(), NOW).splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["CONTEXT", "NAMESPACE", "NAME"], ["dev", "a", "web"], ["prod", "a", "web"],
    ]  # fmt: skip


def test_colour_is_on_the_status_and_changes_nothing_else() -> None:
    colored = render_table(webshop(), Style(color=True), NOW)
    assert "\x1b[32mActive\x1b[0m" in colored
    assert "\x1b[33mWaiting\x1b[0m" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == CONTRACT


@pytest.mark.parametrize(
    ("width", "left_out", "last"),
    [
        (None, [], "UDP cannot be forwarded"),
        (200, [], "UDP cannot be forwarded"),
        (120, ["ENDPOINT"], "UDP cannot be forwarded"),
        (99, ["ENDPOINT", "AGE"], "UDP cannot be forwarded"),
        (80, ["ENDPOINT", "AGE", "HOST"], "UDP cannot be …"),
    ],
)
def test_a_terminal_that_is_narrow_shows_less(width: int | None, left_out: list[str], last: str) -> None:
    lines = render_table(webshop(), Style(width=width), NOW).splitlines()
    everything = ["NAMESPACE", "NAME", "STATUS", "ADDRESS", "HOST", "PORT(S)", "ENDPOINT", "AGE", "REASON"]
    assert lines[0].split() == [column for column in everything if column not in left_out]
    assert width is None or max(map(len, lines)) <= width
    assert lines[2].endswith(last)


def test_a_terminal_that_is_much_too_narrow() -> None:
    lines = render_table(webshop(), Style(width=20), NOW).splitlines()
    assert lines[2].endswith("53/UDP               UDP cannot be forwarded"), "they wrap anyway, so nothing is hidden"


def test_a_shop_of_the_usual_size_fits_80_columns() -> None:
    services = [("web", port(80, 8080)), ("cart", port(80, 8080)), ("postgres", port(5432, 5432))]
    shop = document(
        *(forward("shop", name, ports, endpoints=(f"{name}-6767cc67f4-42xr6",)) for name, ports in services)
    )
    lines = render_table(shop, Style(width=80), NOW).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["NAMESPACE", "NAME", "STATUS", "ADDRESS", "HOST", "PORT(S)", "AGE", "REASON"]


def test_the_shortest_name_stands_beside_the_address_if_names_work() -> None:
    named = forward("a", "web", port(80, 80), hostnames=("web.a", "web.a.svc", "web.a.dev"))
    (row,) = rows_of(document(named), wide=False, now=NOW)
    assert row.host == "web.a"
    (row,) = rows_of(document(named, hosts=HostsState.DENIED), wide=False, now=NOW)
    assert row.host == "<none>"
    assert "HOST" not in render_table(document(named, hosts=HostsState.OFF), Style(), NOW).split()


def test_without_headers() -> None:
    assert render_table(webshop(), Style(headers=False), NOW) == "".join(CONTRACT.splitlines(keepends=True)[1:])


@pytest.mark.parametrize(
    ("item", "endpoint"),
    [
        (forward("a", "web", port(80, 80, children=(A, B)), port(81, 81, children=(A,))), "a +1"),
        (forward("a", "web", port(80, 80, children=(B,)), endpoints=("a", "b", "c")), "b"),
        (forward("a", "web", port(80, 80), endpoints=("a", "b", "c")), "a +2"),
        (forward("a", "web", port(80, 80)), "<none>"),
    ],
)
def test_endpoint(item: Item, endpoint: str) -> None:
    (row,) = rows_of(document(item), wide=False, now=NOW)
    assert row.endpoint == endpoint


def test_an_exposure_without_a_forward() -> None:
    (row,) = rows_of(document(exposure("a", "web")), wide=False, now=NOW)
    assert (row.address, row.endpoint, row.ports) == ("<none>", "localize-web-x7k2p", "80->127.0.0.1:3000")


def test_an_exposed_service_has_the_address_of_its_forward() -> None:
    both = document(forward("a", "web", port(80, 80)), exposure("a", "web"))
    (row,) = rows_of(both, wide=False, now=NOW)
    assert (row.status, row.address, row.ports) == (Status.EXPOSED, "127.71.4.19", "80->127.0.0.1:3000")


def test_wide() -> None:
    pods = tuple(ForwardPod(f"db-{number}", f"127.1.0.{number}") for number in range(5))
    ports = [
        port(80, 80, connections=2, bytes_in=1000, bytes_out=2048, restarts=1),
        port(81, 81, connections=1, bytes_in=24, restarts=2),
    ]
    wide = document(forward("a", "db", *ports, pods=pods, hostnames=("a", "b", "c", "d", "e"), reason="why"))
    header, line = render_table(wide, Style(wide=True), NOW).splitlines()
    assert re.split(r" {3,}", header)[7:] == [
        "HOSTNAMES", "PODS", "CONNECTIONS", "BYTES IN", "BYTES OUT", "RESTARTS", "REASON",
    ]  # fmt: skip
    assert re.split(r" {3,}", line)[7:] == [
        "a,b,+3", "db-0=127.1.0.0,db-1=127.1.0.1,db-2=127.1.0.2,+2", "3", "1.0KiB", "2.0KiB", "3", "why",
    ]  # fmt: skip


def test_control_characters_and_line_breaks_stay_out() -> None:
    nasty = document(forward("a", "web", port(80, 80), reason="one\ntwo \x1b[31mred\x07"))
    line = render_table(nasty, Style(), NOW).splitlines()[1]
    assert line.endswith("one two red")


def test_numbers_stay_as_they_are_written() -> None:
    numbers = document(forward("1e5", "007", port(80, 80)))
    assert "1e5         007" in render_table(numbers, Style(), NOW)


# -- cells ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "text"),
    [
        (port(80, 8080), "80->8080"),
        (port(5672, 5672), "5672"),
        (port(80, "http"), "80->http"),
        (port(80, "http", local_port=8080), "8080:80->http"),
        (port(80, 80, local_port=8080), "8080:80"),
        (port(80, 0), "80"),
        (port(53, 53, protocol="UDP"), "53/UDP"),
        (port(53, 5353, protocol="UDP", local_port=0), "53->5353/UDP"),
        (port(38412, 38412, protocol="SCTP"), "38412/SCTP"),
    ],
)
def test_ports(given: ForwardPort, text: str) -> None:
    (row,) = rows_of(document(forward("a", "web", given)), wide=False, now=NOW)
    assert row.ports == text


@pytest.mark.parametrize(
    ("values", "count", "before_more", "text"),
    [
        ([], 1, " ", "<none>"),
        (["a"], 1, " ", "a"),
        (["a", "b"], 1, " ", "a +1"),
        (["a", "a"], 1, " ", "a"),
        (["a", "b", "c", "d", "e"], 2, ",", "a,b,+3"),
        (["a", "b"], 2, ",", "a,b"),
    ],
)
def test_first_and_more(values: list[str], count: int, before_more: str, text: str) -> None:
    assert first_and_more(values, count, before_more=before_more) == text


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
    [(EIGHT_MINUTES_AGO, 480), ("2026-01-02T11:59:59.5Z", 0.5), ("", None), ("x", None),
     ("2026-01-02T11:52:00", None)],
)  # fmt: skip
def test_seconds_since(moment: str, seconds: float | None) -> None:
    assert seconds_since(moment, NOW) == seconds


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.0KiB"), (1536, "1.5KiB"), (20 * 2**20, "20MiB"), (2**20 - 1, "1.0MiB"),
     (3 * 2**40, "3.0TiB")],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text
