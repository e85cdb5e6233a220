"""Which processes live: start times, and the pidfile that the live supervisor holds."""

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
            self.leave()
        finally:
            os.close(self._descriptor)

    def leave(self) -> None:
        """Remove the file; whoever waits for this process (`wait_released`) waits until it has ended."""
        self._path.unlink(missing_ok=True)


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


def wait_released(path: Path, timeout_seconds: float) -> bool:
    """Wait until the process that holds the pidfile now has ended, or let go; whether it has.

    The lock is looked at in the open file, so it counts even when that has been removed meanwhile.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        while not _try_lock(descriptor, fcntl.LOCK_SH):
            if time.monotonic() > deadline:
                return False
            time.sleep(_RETRY_SECONDS)
    finally:
        os.close(descriptor)
    return True


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
