"""The top-level domains of public DNS, from IANA's list as it was when this release was made."""

from __future__ import annotations

from importlib import resources


def top_level_domains() -> frozenset[str]:
    """Return them in lower case, international ones in their ASCII form (`xn--…`). Reads a file of 10 kB."""
    text = resources.files("kubectl_localize.host").joinpath("tlds.txt").read_text(encoding="ascii")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))
