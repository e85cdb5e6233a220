"""When a process started, which tells it from others that have its number later.

The guard imports this module and nothing else of the package's knowledge of systems: it has to stay small.
"""

from __future__ import annotations

import sys

UNKNOWN = "-"


def started_at(pid: int, platform: str = sys.platform) -> str:
    """Return when a process started, as a word without spaces.

    Args:
        pid: its number.
        platform: the system, as `sys.platform` names it; any but macOS is taken for a Linux.

    Returns:
        Linux: clock ticks since boot; macOS: seconds since the epoch. Empty if there is no such process, `-` if there
        is one and the system does not tell.
    """
    if platform == "darwin":
        return _macos_started_at(pid)
    fields = linux_stat(pid)
    return fields[19].decode() if fields else ""


def linux_stat(pid: int, proc: str = "/proc") -> list[bytes]:
    """Return the fields of /proc/PID/stat (proc(5)) from the third on, the state; none if there is no such process."""
    try:
        with open(f"{proc}/{pid}/stat", "rb") as file:
            content = file.read()
    except OSError:
        return []
    # The second field is the program's name in brackets, and may hold spaces and brackets itself.
    return content.rpartition(b")")[2].split()


def _macos_started_at(pid: int) -> str:
    import psutil

    try:
        return repr(float(psutil.Process(pid).create_time()))
    except (psutil.AccessDenied, psutil.ZombieProcess):
        return UNKNOWN
    except (psutil.Error, ValueError):
        return ""
