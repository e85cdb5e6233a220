"""Which place of a command line is at the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cli.completion.line import Place, read_line


def _words(line: str) -> list[str]:
    """A line as a shell hands it over; a space at its end begins a new, empty word."""
    return line.split(" ")


@pytest.mark.parametrize(
    ("line", "place", "typed", "command"),
    [
        ("", Place.WORD, "", ""),
        ("ex", Place.WORD, "ex", ""),
        ("expose", Place.WORD, "expose", ""),
        ("expose ", Place.WORD, "", "expose"),
        ("-n shop expose ca", Place.WORD, "ca", "expose"),
        ("--context ls ", Place.WORD, "", ""),
        ("web ls ", Place.WORD, "", ""),
        ("-", Place.FLAG, "-", ""),
        ("ls --out", Place.FLAG, "--out", "ls"),
        ("-n -", Place.VALUE, "-", ""),
        ("-n ", Place.VALUE, "", ""),
        ("ls -vn sh", Place.VALUE, "sh", "ls"),
        ("-nshop ", Place.WORD, "", ""),
        ("--detach=fal", Place.FLAG, "--detach=fal", ""),
        ("--nothing=x", Place.FLAG, "--nothing=x", ""),
        ("expose web -- np", Place.PROGRAM, "np", "expose"),
        ("expose web -- npm -", Place.PROGRAM, "-", "expose"),
        ("expose web --", Place.FLAG, "--", "expose"),
        ("-- we", Place.WORD, "we", ""),
        ("ls -- -", Place.WORD, "-", "ls"),
    ],
)
def test_places(line: str, place: Place, typed: str, command: str) -> None:
    result = read_line(_words(line))
    assert (result.place, result.typed, result.head, result.command) == (place, typed, "", command)


@pytest.mark.parametrize("spelling", ["--context", "-n"])
def test_a_value_after_an_equals_sign(spelling: str) -> None:
    result = read_line(["ls", f"{spelling}=a=b"])
    assert (result.place, result.head, result.typed) == (Place.VALUE, f"{spelling}=", "a=b")
    assert result.flag is not None
    assert spelling in result.flag.spellings


def test_what_stands_before_it() -> None:
    result = read_line(_words("-n a --namespace=b expose -d web shop/cart --context c -- sh -n x"))
    assert result.words == ("web", "shop/cart", "sh", "-n")
    assert result.values("namespace") == ("a", "b")
    assert (result.value("context"), result.value("cluster")) == ("c", "")
    assert result.given("detach")
    assert not result.given("stop")


def test_no_word_at_all_is_an_empty_one() -> None:
    assert read_line([]) == read_line([""])


@given(st.lists(st.text(alphabet="-=nlodvAfw/ab1", max_size=6), max_size=6))
def test_every_line_has_a_place(arguments: list[str]) -> None:
    result = read_line(arguments)
    assert result.head + result.typed == (arguments[-1] if arguments else "")
    assert (result.flag is not None) == (result.place is Place.VALUE)
