"""What processes cost: memory and processor time, as the kernel counts them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path


def memory_mb(pids: Iterable[int]) -> float:
    """The proportional set size of processes together: memory that several share counts once."""
    total = 0
    for pid in pids:
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(found[1]) if found else 0
    return total / 1024


def processor_seconds(pids: Iterable[int]) -> float:
    """The processor time that processes have used so far, threads that have ended included; a tick is 10 ms."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")
