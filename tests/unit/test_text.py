"""Text of others: it is one line, and steers no terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.text import LONGEST, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ada (ada@laptop)", "ada (ada@laptop)"),
        ("Müller 🙂", "Müller 🙂"),
        ("a\nb\r\nc\td", "a b c d"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred\x1bx", "red x"),
        ("abc\u202edcba\u2066\u200bx", "abc dcba x"),
        ("\u2028line\u2029", "line"),
        ("", ""),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert one_line(text) == shown


@given(st.text())
def test_it_is_always_printable_and_never_too_long(text: str) -> None:
    shown = one_line(text * 100)
    assert shown.isprintable()
    assert len(shown) <= LONGEST
    assert one_line(shown) == shown
