"""Our own processes: the pidfile that the live supervisor holds, and how a module of ours is started."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

import kubectl_localize
from kubectl_localize.host.system import this_system
from kubectl_localize.json_text import parse_json

# Lies beside the packages that were unpacked from an archive (krew/carried/start.py), and nowhere else.
STARTER = "kubectl_localize_start.py"

_ACQUIRE_SECONDS = 1.0
_RETRY_SECONDS = 0.005


class Pidfile:
    """A file that its live holder keeps locked; the lock ends with the process, however that ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, path: Path) -> Pidfile | None:
        """Take the pidfile and write this process's pid and start mark into it.

        The descriptor stays open: a process that forks without exec must close it, or it holds the lock, too.

        Args:
            path: the pidfile, in a directory that exists.

        Returns:
            The held pidfile; None if another process holds it.

        Raises:
            OSError: the file cannot be opened or written.
        """
        pid = os.getpid()
        content = json.dumps({"pid": pid, "started": this_system().start_mark(pid)}).encode()
        deadline = time.monotonic() + _ACQUIRE_SECONDS
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
            try:
                if _try_lock(descriptor, fcntl.LOCK_EX):
                    if _is_same_file(descriptor, path):
                        os.pwrite(descriptor, content, 0)
                        os.ftruncate(descriptor, len(content))
                        pidfile, descriptor = cls(path, descriptor), -1
                        return pidfile
                elif not _try_lock(descriptor, fcntl.LOCK_SH) or time.monotonic() > deadline:
                    return None  # not even shared: a supervisor holds it
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            time.sleep(_RETRY_SECONDS)  # a reader has it for a moment, or the holder has just removed it

    @property
    def is_there(self) -> bool:
        """Whether the file is still where it was made: somebody may have removed it, and made another."""
        return _is_same_file(self._descriptor, self._path)

    def let_go(self) -> None:
        """Let go of the lock, and leave alone what is at the path now."""
        os.close(self._descriptor)

    def release(self) -> None:
        """Remove the file and let go of it."""
        try:
            self.leave()
        finally:
            os.close(self._descriptor)

    def leave(self) -> None:
        """Remove the file but keep the lock: `wait_released` goes on waiting until this process has ended."""
        self._path.unlink(missing_ok=True)


def owner(path: Path) -> int | None:
    """Return the pid of the live process that holds the pidfile; None if there is none or the file cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe may be there
    except OSError:
        return None
    try:
        if _try_lock(descriptor, fcntl.LOCK_SH):
            return None
        return _read_pid(descriptor)
    finally:
        os.close(descriptor)


def wait_released(path: Path, timeout_seconds: float) -> bool:
    """Wait until the process that holds the pidfile now has ended or has let go. Blocks.

    Args:
        path: the pidfile; its lock counts though the file is removed in the meantime.
        timeout_seconds: how long to wait at most.

    Returns:
        Whether nobody holds it any more.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe may be there
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
        pid = parse_json(os.pread(descriptor, 4096, 0))["pid"]
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
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def module_argv(module: str, *words: str, package: Path | None = None) -> list[str]:
    """Return the command that runs a module of ours, independent of the current directory.

    If the program was unpacked from an archive, the command names the directory of its packages. PYTHONPATH could do
    that, too, but kubectl and the user's own commands would inherit it.

    Args:
        module: its dotted name.
        words: its arguments.
        package: the directory of `kubectl_localize`; by default the one that runs now.
    """
    # A context's name has to fit into kubectl's command line in any locale. PYTHONUTF8 would be inherited by kubectl.
    python = [sys.executable, "-P", "-X", "utf8"]
    starter = (package or Path(kubectl_localize.__file__).parent).parent / STARTER
    if starter.is_file():
        return [*python, str(starter), module, *words]
    return [*python, "-m", module, *words]
