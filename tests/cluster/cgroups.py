"""A node's own control groups, in version 1 hierarchies and in version 2's one tree."""

from __future__ import annotations

import contextlib
import os
from functools import partial
from pathlib import Path

from tests.cluster.commands import wait_until

NEEDED = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")  # what a kubelet looks for in version 2


def _mounts(kind: str) -> list[Path]:
    lines = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in lines if fields[2] == kind and fields[1].startswith("/sys/fs/cgroup")]


def _trees() -> list[Path]:
    """Version 2's tree, where it is what containers use: beside version 1 it only tracks processes."""
    return [] if _mounts("cgroup") else _mounts("cgroup2")


def to_enable() -> list[str]:
    """The version 2 controllers that are not enabled at the root yet, but have to be for a node."""
    missing: list[str] = []
    for tree in _trees():
        available = (tree / "cgroup.controllers").read_text().split()
        enabled = (tree / "cgroup.subtree_control").read_text().split()
        missing += [one for one in NEEDED if one in available and one not in enabled]
    return missing


def create(name: str, enable: list[str]) -> None:
    """Make /NAME in every hierarchy, and enable what to_enable() said."""
    for hierarchy in (*_mounts("cgroup"), *_mounts("cgroup2")):
        (hierarchy / name).mkdir(exist_ok=True)
    for tree in _trees():
        for controller in enable:
            (tree / "cgroup.subtree_control").write_text(f"+{controller}")
        for controller in (tree / name / "cgroup.controllers").read_text().split():
            (tree / name / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(name: str, enabled: list[str]) -> None:
    """Remove /NAME and all below it, whose processes were killed already, and disable what `create` enabled."""
    for hierarchy in (*_mounts("cgroup"), *_mounts("cgroup2")):
        wait_until(f"end of {hierarchy / name}", partial(_gone, hierarchy / name), 20)
    for tree in _trees():
        for controller in enabled:
            # Another node may use it by now: then it stays, until that one goes.
            with contextlib.suppress(OSError):
                (tree / "cgroup.subtree_control").write_text(f"-{controller}")


def _gone(group: Path) -> bool:
    """Try to remove a tree of groups; a group whose last process is still being reaped is busy for a moment."""
    for directory, _, _ in os.walk(group, topdown=False):
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
