"""Makes text that others wrote safe to show: no control characters, and one line where one is expected."""

from __future__ import annotations

import re

LONGEST = 2000  # characters; the API server lets an annotation have 256 kB
# What sets colours or moves the cursor, in either form of its introducer (ECMA-48, CSI).
ESCAPE_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]")


def one_line(text: str, longest: int = LONGEST) -> str:
    """Make text of unknown origin safe to show in a terminal or a log.

    Escape sequences are left out. Line breaks, control characters (C0 and C1), bidirectional overrides and
    other invisible characters become blanks.

    Args:
        text: what a server, a pod, or a colleague's Lease says.
        longest: the number of characters after which the rest is cut off.

    Returns:
        One line of printable characters, with single blanks.
    """
    if not text.isprintable():
        text = ESCAPE_SEQUENCES.sub("", text)
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    shown = " ".join(text.split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def printable(text: str) -> str:
    """Make text of any number of lines safe to print; line feeds and tabs stay, and so does all that is printable.

    Escape sequences are left out, and every other character that is not printable becomes a blank: control characters
    (C0 and C1), bidirectional overrides, invisible ones, halves of surrogate pairs.
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    text = ESCAPE_SEQUENCES.sub("", text)
    return "".join(letter if letter.isprintable() or letter in "\n\t" else " " for letter in text)
