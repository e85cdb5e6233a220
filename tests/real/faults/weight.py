"""What a process has: descriptors and memory."""

from __future__ import annotations

import os
from pathlib import Path


def descriptors(pid: int) -> int:
    """How many files and connections it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def megabytes(pid: int) -> float:
    """Its private memory, as smaps_rollup says."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")) / 1024
