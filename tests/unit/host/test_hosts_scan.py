"""What a hosts file says about our names: the same whatever else it holds, and in pieces of any size."""

from __future__ import annotations

import io
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.host.hosts import HOSTS_FILE, replace_block
from kubectl_localize.host.hosts_scan import HostsScan, HostsScanner, pieces, scan_file
from kubectl_localize.model import HostsLine
from tests.unit.host.test_hosts import LINES, ONE, TEXTS, TWO

KEY, OTHER = "one-1a2b3c4d", "two-1a2b3c4d"
NAMES = {"localhost", "box", "web.shop", "web", "db.shop", "ip6", "mine", "off", "not-me"}
SIZES = st.sampled_from([400, 511, 65536])  # a marker is never cut: it is shorter
FILLER = st.integers(0, 800).map(lambda count: "0.0.0.0 ads.example\n" * (count // 20) + "#" * (count % 20) + "\n")


def scan(
    text: str, key: str = KEY, lines: Sequence[HostsLine] = (), names: Collection[str] = NAMES, size: int = 65536
) -> HostsScan:
    """Scan a text in pieces of about `size` bytes."""
    scanner = HostsScanner(key, lines, names)
    for piece in pieces(io.BytesIO(text.encode("utf-8", "surrogateescape")), size):
        scanner.feed(piece)
    return scanner.end()


@given(FILLER, SIZES)
def test_names_are_held_outside_our_own_block(filler: str, size: int) -> None:
    text = filler + "127.0.0.1 localhost Box # not-me\n#127.0.0.1 off\n\n" + ONE + TWO + "::1\tip6\n10.0.0.1 mine"
    expected = {"web.shop": OTHER, "web": OTHER} | dict.fromkeys(("localhost", "box", "ip6", "mine"), HOSTS_FILE)
    assert scan(text, size=size).holders == expected


def test_a_comment_may_follow_a_name_at_once() -> None:
    assert scan("0.0.0.0 ads.example\n" * 30 + "127.0.0.1 LOCALHOST#\n", size=400).holders == {"localhost": HOSTS_FILE}


@pytest.mark.parametrize("text", [TWO + "10.0.0.1 web\n", "10.0.0.1 web\n" + TWO])
def test_the_users_own_line_outweighs_another_contexts(text: str) -> None:
    assert scan(text, "k").holders["web"] == HOSTS_FILE


def test_a_line_that_others_wrote_into_our_block_is_theirs() -> None:
    begin, *entries, end, _ = ONE.split("\n")
    text = "\n".join([begin, entries[0], "10.0.0.1 mine", entries[1], end, ""])
    assert scan(text).holders == {"mine": HOSTS_FILE}


def test_without_an_end_marker_only_the_entries_right_below_are_ours() -> None:
    begin, *entries, _, _ = ONE.split("\n")
    text = "\n".join([begin, entries[0], "10.0.0.1 mine", entries[1], ""])
    assert scan(text).holders == {"mine": HOSTS_FILE, "db.shop": HOSTS_FILE}
    assert scan(text + TWO).holders == {"mine": HOSTS_FILE, "db.shop": HOSTS_FILE, "web.shop": OTHER, "web": OTHER}


@given(TEXTS, SIZES)
def test_a_block_is_held_until_somebody_takes_it_out_or_changes_it(text: str, size: int) -> None:
    def holds(text: str, lines: Sequence[HostsLine] = LINES) -> bool:
        return scan(text, lines=lines, size=size).holds_block

    held = replace_block(text.encode("utf-8", "replace").decode(), KEY, ONE)
    assert holds(held)
    assert holds(held + TWO + "10.0.0.1 mine\n"), "others may write behind it"
    assert not holds(replace_block(held, KEY, ""))
    assert not holds(held, LINES[:1])
    assert not holds(held.replace("127.71.4.20\tdb.shop\n", ""))
    assert not holds(held.replace(ONE.partition("\n")[0], "#"))
    assert not holds(held.removesuffix(ONE.split("\n")[-2] + "\n"))


def test_no_names_need_no_block() -> None:
    assert scan("127.0.0.1 localhost\n", lines=[]).holds_block
    assert scan("127.0.0.1 localhost\n", lines=[HostsLine("127.64.0.1", ())]).holds_block


@given(FILLER, TEXTS, TEXTS, SIZES)
def test_pieces_of_any_size_say_the_same_and_our_block_does_not_count(
    filler: str, above: str, below: str, size: int
) -> None:
    text = (filler + above + "\n" + TWO + "10.0.0.1 mine # web\n" + below).encode("utf-8", "replace").decode()
    assert scan(text, size=size) == scan(text)
    assert scan(replace_block(text, KEY, ONE), size=size).holders == scan(text).holders


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_windows_newlines_change_nothing(newline: str) -> None:
    assert scan(f"10.0.0.1 mine{newline}{TWO}".replace("\n", newline)).holders["mine"] == HOSTS_FILE


def test_one_line_without_end_is_read_in_pieces() -> None:
    text = "0.0.0.0 " + " ".join(f"ads-{number}.example" for number in range(20_000)) + " mine # box"
    longest = max(len(piece) for piece in pieces(io.BytesIO(text.encode())))
    assert longest < 2 * 65536
    assert scan(text).holders == {"mine": HOSTS_FILE}
    assert scan("# " + text).holders == {}


def test_170000_lines_take_a_moment(tmp_path: Path) -> None:
    """A generous limit: it takes 50 ms."""
    hosts = tmp_path / "hosts"
    hosts.write_text("".join(f"0.0.0.0 ads-{number}.example\n" for number in range(170_000)) + "10.0.0.1 mine\n" + ONE)
    began = time.monotonic()
    result = scan_file(str(hosts), KEY, LINES, NAMES)
    assert time.monotonic() - began < 2
    assert result == HostsScan({"mine": HOSTS_FILE}, holds_block=True)
