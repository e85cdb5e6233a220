"""Which processes live: start times, the pidfile that the live supervisor holds, and how long the machine slept."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

_ACQUIRE_SECONDS = 1.0
_RETRY_SECONDS = 0.005


def start_time(pid: int) -> float | None:
    """Return when the process started, in seconds since the epoch; None where there is no such process.

    One that has ended is none, though its parent has not taken notice yet: in many containers nobody ever does.
    """
    import psutil  # 30 ms that `ls` need not pay

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except (psutil.Error, ValueError, OverflowError):
        return None


def start_mark(pid: int) -> float | None:
    """Return what tells the process from others that had its number since the machine was started; None as above.

    On Linux these are clock ticks since boot: the wall clock may be set meanwhile, and nobody's mark changes. Elsewhere
    the system itself keeps the start time, as it was read then.
    """
    if not os.path.exists("/proc/self/stat"):
        return start_time(pid)
    fields = stat_fields(pid)
    return float(fields[19]) if fields and fields[0] not in (b"Z", b"X") else None


def stat_fields(pid: int) -> list[bytes]:
    """Return what /proc/PID/stat says from the state on (proc_pid_stat(5), field 3); nothing where it says nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            content = file.read()
    except OSError:
        return []
    # The second field is the program's name in brackets, and may hold spaces and brackets itself.
    return content.rpartition(b")")[2].split()


def boot_ahead() -> float:
    """Return by how many seconds boot time is ahead of monotonic time: it grows while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    if clock is None:
        return 0.0
    return time.clock_gettime(clock) - time.clock_gettime(time.CLOCK_MONOTONIC)


class Pidfile:
    """A file that its live holder keeps locked; the lock ends with the process, however that ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Pidfile | None:
        """Take the pidfile and write pid and start time into it; None where another process holds it.

        The descriptor stays open: a process that forks without exec must close it, or it holds the lock too.

        Raises:
            OSError: the file cannot be opened or written.
        """
        pid = os.getpid()
        content = json.dumps({"pid": pid, "createTime": start_time(pid)}).encode()
        deadline = time.monotonic() + _ACQUIRE_SECONDS
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                if _try_lock(descriptor, fcntl.LOCK_EX):
                    if _is_same_file(descriptor, path):
                        os.pwrite(descriptor, content, 0)
                        os.ftruncate(descriptor, len(content))
                        pidfile, descriptor = cls(path, descriptor), -1
                        return pidfile
                elif not _try_lock(descriptor, fcntl.LOCK_SH) or time.monotonic() > deadline:
                    return None  # not even shared: somebody holds it for themselves
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            time.sleep(_RETRY_SECONDS)  # a reader has it for a moment, or the holder has just removed it

    def release(self) -> None:
        """Remove the file and let go of it."""
        try:
            self._path.unlink(missing_ok=True)
        finally:
            os.close(self._descriptor)


def owner(path: Path) -> int | None:
    """Return the pid of the live process that holds the pidfile; None where nobody does or it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return None
        return _read_pid(descriptor)
    finally:
        os.close(descriptor)


def _read_pid(descriptor: int) -> int | None:
    try:
        pid = json.loads(os.pread(descriptor, 4096, 0))["pid"]
    except (ValueError, KeyError, TypeError):
        return None
    return pid if isinstance(pid, int) else None


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same_file(descriptor: int, path: Path) -> bool:
    """Whether the path still leads to the open file: its last holder may have removed it in between."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)
