"""Starts a module of an unpacked program, and keeps that from being deleted: `python -P start.py MODULE WORD…`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import runpy
import sys

HELD = ".held"  # every process that runs from the directory holds a shared lock on this file of it


def hold(place: str) -> bool:
    """Keep an unpacked program from being deleted as long as this process lives.

    The descriptor stays open on purpose. Programs that this process starts do not inherit it.

    Args:
        place: the program's directory.

    Returns:
        Whether the program is there.
    """
    path = os.path.join(place, HELD)
    while True:
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        with contextlib.suppress(OSError):  # a network file system without locks: there nothing is deleted
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return True
        except FileNotFoundError:  # it was being deleted just now
            pass
        os.close(descriptor)


def main() -> None:
    """Be `python -m MODULE WORD…`, with the packages that lie beside this file."""
    place = os.path.dirname(os.path.abspath(__file__))
    hold(place)
    sys.path.insert(0, place)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
