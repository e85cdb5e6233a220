"""The group ledger: a supervisor's process groups in a file, so that they can be ended if its guard was killed, too."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from kubectl_localize.host.files import read_text
from kubectl_localize.host.guard import Guard, apply_line, end_groups
from kubectl_localize.host.paths import write_atomic
from kubectl_localize.host.started import UNKNOWN, started_at
from kubectl_localize.host.system import this_system


class GroupLedger:
    """Tells the guard of each process group, and keeps a file of them until `close`.

    The file's first line identifies the boot and the set of pids (`System.pid_namespace`): elsewhere, the numbers
    belong to others. Each further line is one of the guard's protocol.

    Args:
        path: the file; its directory has to exist, and only one supervisor may use it.
        guard: ends the groups when the supervisor is gone, unless it was killed itself.
    """

    def __init__(self, path: Path, guard: Guard) -> None:
        self._path = path
        self._guard = guard
        self._groups: dict[int, str] = {}

    def add(self, pgid: int) -> None:
        """Have a process group ended with us.

        Args:
            pgid: the group; its leader must be a child of ours that has not been waited for.
        """
        self._guard.add(pgid)
        start = started_at(pgid)
        if start:
            self._groups[pgid] = start
            self._write()

    def remove(self, pgid: int) -> None:
        """Forget the group: to be called when its leader has ended."""
        self._guard.remove(pgid)
        if self._groups.pop(pgid, None) is not None:
            self._write()

    def replace_lost_guard(self) -> bool:
        """Start another guard if ours was killed or stopped, and tell it of all groups.

        Returns:
            Whether that was so.

        Raises:
            OSError: none can be started.
        """
        if not self._guard.is_lost():
            return False
        guard = Guard.start()
        self._guard.close()
        self._guard = guard
        for pgid in self._groups:
            guard.add(pgid)
        return True

    def save(self) -> None:
        """Write the file anew, if there are groups: somebody has removed it."""
        if self._groups:
            self._write()

    def close(self) -> None:
        """End the groups that are left; return when that is done."""
        self._guard.close()
        end_recorded_groups(self._path)

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk stops no child; the guard knows the group
            write_atomic(self._path, _to_text(self._groups))


def end_recorded_groups(path: Path) -> None:
    """End the groups that a ledger still has, and remove it. Blocks for 0.3 s at most.

    Args:
        path: the ledger of a supervisor that is gone. A file that cannot be read or understood counts as empty, and
            so do groups whose leader may by now be somebody else.
    """
    try:
        groups = _from_text(read_text(path))
    except (OSError, ValueError):
        groups = {}
    end_groups(groups)
    with contextlib.suppress(OSError):
        path.unlink()


def _to_text(groups: Mapping[int, str]) -> str:
    return "".join([f"{this_system().pid_namespace()}\n", *(f"+{pgid} {start}\n" for pgid, start in groups.items())])


def _from_text(text: str) -> dict[int, str]:
    """Raises ValueError: a line is none of the protocol's."""
    namespace, *lines = text.split("\n")
    groups: dict[int, str] = {}
    if namespace == this_system().pid_namespace():
        for line in lines:
            apply_line(groups, line)
    return {pgid: start for pgid, start in groups.items() if start != UNKNOWN}
