"""Finding and ending processes without ever hitting a stranger that got a recorded number."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import wait_until


@dataclass(frozen=True)
class Process:
    """A process by its number and the time it started, in clock ticks since boot; together they are never reused."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this number now, if one has and it is not a zombie."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] == "Z" else cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        """Whether it is still this very process."""
        return Process.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Signal it if it is still the same. The descriptor is taken before the look, so the number cannot move on."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive:
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)

    def kill(self, seconds: float = 20) -> None:
        """End it at once and wait until it is gone."""
        self.send(signal.SIGKILL)
        wait_until(f"end of process {self.pid}", lambda: not self.alive, seconds, every_seconds=0.02)

    def child(self) -> Process | None:
        """Its first child."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        except OSError:
            return None
        return Process.of(int(children[0])) if children else None


def running(argv: list[str]) -> list[Process]:
    """Root's processes with exactly this command line."""
    wanted = b"\0".join(word.encode() for word in argv) + b"\0"
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes() != wanted or entry.stat().st_uid != 0:
                continue
        except OSError:
            continue
        process = Process.of(int(entry.name))
        if process is not None:
            found.append(process)
    return found
