"""Makes text that others wrote safe to show: one line, no control characters."""

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
