"""The guard: a process that ends all children when the supervisor is gone, however it went."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable  # as cheap as `contextlib`; all else that this file imports is the guard's, too

from kubectl_localize.host.started import UNKNOWN, started_at

_GRACE_SECONDS = 0.3
_POLL_SECONDS = 0.01
_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from kubectl_localize.host.guard import be_guard; be_guard()"


class Guard:
    """The supervisor's end of its guard."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._pipe = pipe

    @classmethod
    def start(cls) -> Guard:
        """Start the guard: a program of its own, which a fork of the supervisor would outweigh by 6 MB.

        Raises:
            OSError: no process or no descriptor is left.
        """
        read_end, write_end = os.pipe()
        actions = [
            (os.POSIX_SPAWN_DUP2, read_end, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        # Neither `site` nor anybody's PYTHON* variables: it finds what this process finds.
        argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, _package_parent(), *sys.path]
        try:
            pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        # A guard that somebody stopped must not stop us as well.
        os.set_blocking(write_end, False)
        return cls(pid, write_end)

    def add(self, pgid: int) -> None:
        """Have a process group ended with us.

        Args:
            pgid: the group; its leader must be a child of ours that has not been waited for.
        """
        start = started_at(pgid)
        if start:
            self._tell(f"+{pgid} {start}\n")

    def remove(self, pgid: int) -> None:
        """Forget the group: to be called when its leader has ended."""
        self._tell(f"-{pgid}\n")

    def is_lost(self) -> bool:
        """Whether somebody has killed the guard, or stopped it, which is as bad; that one is killed then."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return True
        if pid and os.WIFSTOPPED(status):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        return bool(pid)

    def close(self) -> None:
        """End the guard, and with it the groups that it still has; return when that is done."""
        os.close(self._pipe)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # without its guard the supervisor does its own work as before
            os.write(self._pipe, line.encode())


def _package_parent() -> str:
    """Return what has to be in `sys.path` for this package; an editable install has it elsewhere."""
    return os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def apply_line(groups: dict[int, str], line: str) -> None:
    """Change the table of groups as a line of the protocol says.

    Args:
        groups: for each group, when its leader was started (`started_at`).
        line: `+GROUP START` or `-GROUP`; anything else is ignored.
    """
    if line.startswith("+"):
        pgid, _, start = line[1:].partition(" ")
        groups[int(pgid)] = start
    elif line.startswith("-"):
        groups.pop(int(line[1:]), None)


def is_leader_still(pgid: int, start: str) -> bool:
    """Whether the process with this number leads its group and is the one that was registered."""
    try:
        leads = os.getpgid(pgid) == pgid
    except OSError:
        return False
    return leads and (start == UNKNOWN or started_at(pgid) == start)


def signal_group(pgid: int, number: int, killpg: Callable[[int, int], None] = os.killpg) -> bool:
    """Send a signal to every process of a group.

    Args:
        pgid: the group.
        number: the signal; 0 only asks whether there is anybody.
        killpg: the system call.

    Returns:
        Whether it reached anybody. macOS says EPERM of a group in which only zombies are left, Linux reaches those.
    """
    try:
        killpg(pgid, number)
    except OSError:
        return False
    return True


def end_groups(groups: dict[int, str]) -> None:
    """Send TERM to all groups, wait for 0.3 s, and send KILL to those that are left."""
    alive = {pgid for pgid, start in groups.items() if is_leader_still(pgid, start)}
    for pgid in alive:
        signal_group(pgid, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while alive and time.monotonic() < deadline:
        select.select([], [], [], _POLL_SECONDS)
        alive = {pgid for pgid in alive if signal_group(pgid, 0)}
    for pgid in alive:
        # The number is taken as long as a member lives, but may have gone to another leader since the last poll.
        if started_at(pgid) in ("", groups[pgid]) or groups[pgid] == UNKNOWN:
            signal_group(pgid, signal.SIGKILL)


def be_guard() -> None:
    """Run as the guard process until its standard input ends."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    end_groups(_groups_at_end(0))


def _groups_at_end(pipe: int) -> dict[int, str]:
    """Read the protocol until its end, and return the groups that are registered then."""
    groups: dict[int, str] = {}
    pending = b""
    while data := os.read(pipe, 65536):
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            apply_line(groups, line.decode())
    return groups
