"""Waiting for processes that are not our children."""

from __future__ import annotations

import time

import psutil


def ended(process: psutil.Process) -> bool:
    """Whether it runs no more; a zombie that nobody has reaped yet has ended, too."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_ended(*processes: psutil.Process, seconds: float = 5) -> list[psutil.Process]:
    """Return those that are still there after so long."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if not ended(process)]
    while left and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.01)
        left = [process for process in left if not ended(process)]
    return left


def with_argument(text: str) -> list[psutil.Process]:
    """Return the processes that have this text as one of their arguments."""
    processes = []
    for process in psutil.process_iter():
        try:
            if text in process.cmdline():
                processes.append(process)
        except psutil.Error:
            continue
    return processes
