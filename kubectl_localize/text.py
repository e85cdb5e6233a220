"""Makes text that others wrote safe to show: one line, no control characters."""

from __future__ import annotations

LONGEST = 2000  # characters; the API server lets an annotation have 256 kB


def one_line(text: str, longest: int = LONGEST) -> str:
    """Make text of unknown origin safe to show in a terminal or a log.

    Line breaks, control characters (C0 and C1), bidirectional overrides and other invisible characters become blanks.

    Args:
        text: what a server, a pod, or a colleague's Lease says.
        longest: the number of characters after which the rest is cut off.

    Returns:
        One line of printable characters, with single blanks.
    """
    shown = text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)
    shown = " ".join(shown.split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
