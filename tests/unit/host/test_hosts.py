"""The hosts file's text: others' bytes stay as they are, whatever comes and goes around them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.host.hosts import render_block, replace_block
from kubectl_localize.model import HostsLine

LINES = [HostsLine("127.71.4.19", ("web.shop", "web")), HostsLine("127.71.4.20", ("db.shop",))]
ONE = render_block("one-1a2b3c4d", "kind-one", LINES)
TWO = render_block("two-1a2b3c4d", "kind-two", LINES[:1])
KEYS = {"one-1a2b3c4d": ONE, "two-1a2b3c4d": TWO, "three-3": render_block("three-3", "x", LINES)}

# Whole lines and their parts, with the separators that str.splitlines knows, our own format among them.
PIECES = st.sampled_from(
    [
        "127.0.0.1 localhost",
        "\n",
        "\r\n",
        "\r",
        "\n\n",
        "#",
        " ",
        "\t",
        "\x0b",
        "\x85",
        "\u2028",
        "\udcff",
        "127.64.0.9\tx",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join))


@given(TEXTS, st.sampled_from(sorted(KEYS)))
def test_removing_gives_back_the_same_bytes(text: str, key: str) -> None:
    held = replace_block(text, key, KEYS[key])
    assert held.endswith("\n")
    assert replace_block(held, key, KEYS[key]) == held
    assert replace_block(held, key, "") == text


@given(TEXTS, st.permutations(sorted(KEYS)), st.permutations(sorted(KEYS)), st.sampled_from(sorted(KEYS)))
def test_blocks_come_and_go_in_any_order(text: str, coming: list[str], going: list[str], rewritten: str) -> None:
    held = text
    for key in coming:
        held = replace_block(held, key, KEYS[key])
    held = replace_block(held, rewritten, KEYS[rewritten])
    for key in going:
        assert KEYS[key].split("\n", 1)[1] in held
        held = replace_block(held, key, "")
    assert held == text


@given(TEXTS, TEXTS.filter(bool))
def test_what_others_append_stays(text: str, theirs: str) -> None:
    held = replace_block(text, "one-1a2b3c4d", ONE) + theirs
    left = replace_block(held, "one-1a2b3c4d", "")
    added = "\n" if text and not text.endswith("\n") else ""
    assert left == text + added + theirs


def test_without_a_block_nothing_changes() -> None:
    assert replace_block("a\r\nb", "one-1a2b3c4d", "") == "a\r\nb"


def test_a_line_that_others_wrote_into_the_block_stays() -> None:
    begin, *entries, end, _ = ONE.split("\n")
    text = "\n".join(["a", begin, entries[0], "10.0.0.1 theirs", "# note", entries[1], end, "b", ""])
    assert replace_block(text, "one-1a2b3c4d", "") == "a\n10.0.0.1 theirs\n# note\nb\n"


def test_without_an_end_marker_only_the_entries_right_below_go() -> None:
    begin, *entries, _, _ = ONE.split("\n")
    text = "\n".join(["a", begin, *entries, "10.0.0.1 theirs", entries[0], ""])
    assert replace_block(text, "one-1a2b3c4d", "") == f"a\n10.0.0.1 theirs\n{entries[0]}\n"
    assert replace_block("\n".join([begin, *entries]) + "\n" + TWO, "one-1a2b3c4d", "") == TWO


def test_a_block_without_end_does_not_reach_into_the_next() -> None:
    begin, *entries, _, _ = ONE.split("\n")
    text = "\n".join([begin, *entries]) + "\n" + TWO + ONE
    assert replace_block(text, "one-1a2b3c4d", "") == TWO


def test_an_address_with_many_long_names_gets_several_lines() -> None:
    names = tuple(f"{number:02}" + "n" * 58 for number in range(40))
    lines = render_block("k", "l", [HostsLine("127.64.0.1", names)]).splitlines()[1:-1]
    assert [len(line.split()) - 1 for line in lines] == [8] * 5
    assert max(map(len, lines)) < 499


def test_a_block_that_an_editor_gave_other_newlines_goes_as_well() -> None:
    text = ("127.0.0.1 localhost\n" + ONE).replace("\n", "\r\n")
    assert replace_block(text, "one-1a2b3c4d", "") == "127.0.0.1 localhost\r\n"


def test_a_block_that_stands_there_twice_goes_twice() -> None:
    assert replace_block("a\n" + ONE + "b\n" + ONE, "one-1a2b3c4d", "") == "a\nb\n"


@given(
    st.text(),
    st.lists(
        st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?){0,3}", fullmatch=True),
        min_size=1,
        max_size=40,
    ),
)
def test_lines_are_short_ascii_and_hold_every_name(label: str, names: list[str]) -> None:
    names = [name[:253].rstrip("-.") for name in names]
    block = render_block("k" * 64, label, [HostsLine("127.127.255.254", tuple(names))])
    assert block.isascii()
    begin, *lines, end, last = block.split("\n")
    assert begin.startswith("#")
    assert end.startswith("#")
    assert last == ""
    assert all(len(line) < 499 for line in (begin, *lines, end))
    assert [name for line in lines for name in line.split()[1:]] == names
    assert {line.split()[0] for line in lines} == {"127.127.255.254"}
    assert replace_block("x\n" + block, "k" * 64, "") == "x\n"


def test_no_names_no_block() -> None:
    assert render_block("k", "l", []) == ""
    assert render_block("k", "l", [HostsLine("127.64.0.1", ())]) == ""
