"""The table of `ls`."""

from __future__ import annotations

import re

import pytest

from kubectl_localize.cli.listing.document import merge
from kubectl_localize.cli.listing.table import render_table, rows_of
from tests.unit.cli.samples import NOW, child, document, exposure, forward, port, webshop

CONTRACT = """\
NAMESPACE   NAME    STATUS    ADDRESS       PORT(S)              ENDPOINT               AGE      REASON
webshop     cart    Exposed   127.66.14.2   80->127.0.0.1:3000   localize-cart-x7k2p    2m
webshop     dns     Skipped   <none>        53/UDP               <none>                 <none>   UDP cannot be forwarded
webshop     queue   Waiting   127.83.10.7   5672                 <none>                 8m       no Ready pod
webshop     web     Active    127.71.4.19   80->8080,443->8443   web-6767cc67f4-42xr6   8m
"""


def test_the_contracts_table() -> None:
    assert render_table(webshop(), wide=False, color=False, width=None, now=NOW) == CONTRACT


def test_nothing_to_show() -> None:
    assert render_table(document(), wide=False, color=False, width=80, now=NOW) == ""


def test_context_comes_first_where_there_are_several() -> None:
    both = merge([document(forward("a", "web", port(80, 80)), context=context) for context in ("prod", "dev")])
    lines = render_table(both, wide=False, color=False, width=None, now=NOW).splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["CONTEXT", "NAMESPACE", "NAME"], ["dev", "a", "web"], ["prod", "a", "web"],
    ]  # fmt: skip


def test_colour_is_on_the_status_and_changes_nothing_else() -> None:
    colored = render_table(webshop(), wide=False, color=True, width=None, now=NOW)
    assert "\x1b[32mActive\x1b[0m" in colored
    assert "\x1b[33mWaiting\x1b[0m" in colored
    assert re.sub(r"\x1b\[\d+m", "", colored) == CONTRACT


def test_a_status_of_a_later_version_is_shown_as_it_is() -> None:
    odd = document(forward("a", "web", port(80, 80), status="Odd"))
    assert " Odd " in render_table(odd, wide=False, color=True, width=None, now=NOW)


def test_reason_is_cut_to_the_terminal_and_only_there() -> None:
    width = len(CONTRACT.splitlines()[0]) + 2  # eight columns for REASON
    lines = render_table(webshop(), wide=False, color=False, width=width, now=NOW).splitlines()
    assert lines[2].endswith("<none>   UDP can…")
    assert lines[3].endswith("8m       no Read…")
    assert max(map(len, lines)) == width
    assert render_table(webshop(), wide=False, color=False, width=200, now=NOW) == CONTRACT


def test_a_terminal_that_is_much_too_narrow() -> None:
    lines = render_table(webshop(), wide=False, color=False, width=20, now=NOW).splitlines()
    assert lines[2].endswith("<none>   UDP cannot be forwarded"), "they wrap anyway, so nothing is hidden"
    assert lines[4].endswith("8m")


@pytest.mark.parametrize(
    ("fields", "endpoint"),
    [
        ({"ports": [port(80, 80, children=[child("a"), child("b")]), port(81, 81, children=[child("a")])]}, "a +1"),
        ({"ports": [port(80, 80, children=[child("b")])], "endpoints": ["a", "b", "c"]}, "b"),
        ({"ports": [port(80, 80)], "endpoints": ["a", "b", "c"]}, "a +2"),
        ({"ports": [port(80, 80)]}, "<none>"),
    ],
)
def test_endpoint(fields: dict[str, object], endpoint: str) -> None:
    (row,) = rows_of(document(forward("a", "web", **fields)), wide=False, now=NOW)
    assert row.endpoint == endpoint


def test_an_exposure_without_a_forward() -> None:
    (row,) = rows_of(document(exposure("a", "web")), wide=False, now=NOW)
    assert (row.address, row.endpoint, row.ports) == ("<none>", "localize-web-x7k2p", "80->127.0.0.1:3000")


def test_an_exposure_with_an_address_of_its_own() -> None:
    (row,) = rows_of(document(exposure("a", "web", address="127.9.9.9")), wide=False, now=NOW)
    assert row.address == "127.9.9.9"


def test_wide() -> None:
    pods = [{"name": f"db-{n}", "address": f"127.1.0.{n}", "hostnames": []} for n in range(5)]
    ports = [
        port(80, 80, connections=2, bytesIn=1000, bytesOut=2048, restarts=1),
        port(81, 81, connections=1, bytesIn=24, restarts=2),
    ]
    wide = document(forward("a", "db", *ports, pods=pods, hostnames=["a", "b", "c", "d", "e"], reason="why"))
    header, line = render_table(wide, wide=True, color=False, width=None, now=NOW).splitlines()
    assert re.split(r" {3,}", header)[7:] == [
        "HOSTNAMES", "PODS", "CONNECTIONS", "BYTES IN", "BYTES OUT", "RESTARTS", "REASON",
    ]  # fmt: skip
    assert re.split(r" {3,}", line)[7:] == [
        "a,b,+3", "db-0=127.1.0.0,db-1=127.1.0.1,db-2=127.1.0.2,+2", "3", "1.0KiB", "2.0KiB", "3", "why",
    ]  # fmt: skip


def test_control_characters_and_line_breaks_stay_out() -> None:
    nasty = document(forward("a", "web", port(80, 80), reason="one\ntwo \x1b[31mred\x07"))
    line = render_table(nasty, wide=False, color=False, width=None, now=NOW).splitlines()[1]
    assert line.endswith("one two  red")


def test_numbers_stay_as_they_are_written() -> None:
    numbers = document(forward("1e5", "007", port(80, 80)))
    assert "1e5         007" in render_table(numbers, wide=False, color=False, width=None, now=NOW)
