"""Which programs have which sockets open, and which processes belong to a command: by /proc/PID (proc_pid(5))."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Collection, Iterator
from pathlib import Path

from kubectl_localize.host.system.listeners import Listener, Program

UNKNOWN = "a process"


def program_of(listener: Listener, proc: Path = Path("/proc")) -> Program:
    """The program that has a socket open; of several that share it, such as the workers of a server, the first one.

    Another user's processes do not show their sockets; then only the owner is known.
    """
    link = f"socket:[{listener.inode}]"
    owner = login(listener.uid)
    for pid in _pids(proc):
        if _has_open(proc / str(pid), link):
            return Program(_name(proc / str(pid)), pid, owner)
    return Program(UNKNOWN, 0, owner)


def sockets_of(command: int, proc: Path = Path("/proc")) -> set[int]:
    """The inodes of all sockets that the processes of a command have open.

    Args:
        command: the process group that the command was started in; what its processes have started counts, too.
    """
    parents = {pid: ids for pid in _pids(proc) if (ids := _parent_and_group(proc / str(pid))) is not None}
    members = {pid for pid, (_, group) in parents.items() if group == command or pid == command}
    while more := {pid for pid, (parent, _) in parents.items() if parent in members} - members:
        members |= more
    return {inode for pid in members for inode in _sockets(proc / str(pid))}


def login(uid: int) -> str:
    """A user's login name; the number if it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _pids(proc: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return sorted(int(name) for name in os.listdir(proc) if name.isdigit())
    return []


def _links(process: Path) -> Iterator[str]:
    """What the descriptors of a process lead to; nothing if it is gone or another user's."""
    with contextlib.suppress(OSError):
        for number in os.listdir(process / "fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(process / "fd" / number)


def _has_open(process: Path, link: str) -> bool:
    return any(other == link for other in _links(process))


def _sockets(process: Path) -> Collection[int]:
    prefix = "socket:["
    return [int(link[len(prefix) : -1]) for link in _links(process) if link.startswith(prefix)]


def _name(process: Path) -> str:
    with contextlib.suppress(OSError):
        return (process / "comm").read_text(errors="replace").strip() or UNKNOWN
    return UNKNOWN


def _parent_and_group(process: Path) -> tuple[int, int] | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The name stands in brackets, and may hold spaces and brackets itself.
        fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[1]), int(fields[2])
    return None
