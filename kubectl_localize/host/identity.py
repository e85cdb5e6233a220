"""Who and where we are, as a journal tells it to colleagues, and whether the process that wrote one still lives."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from dataclasses import dataclass

from kubectl_localize.host.system import System, this_system


@dataclass(frozen=True)
class Here:
    """This process on this machine.

    Args:
        login: `alice@laptop`.
        machine: a hash of the machine's id (of its name where it has none), which cannot be had from it.
        uid: this user's number.
        pid, started: this process, and the mark that tells it from others which had its number (`System.start_mark`).
        pid_namespace: where pids count: a boot, and a container in it; empty where the system does not tell.
    """

    login: str
    machine: str
    uid: int
    pid: int
    started: float
    pid_namespace: str


def here(system: System | None = None) -> Here:
    """Look who and where this process is."""
    system = system or this_system()
    name = socket.gethostname()
    return Here(
        login=f"{_login()}@{name}",
        machine=hashlib.sha256((system.machine_id() or name).encode()).hexdigest()[:16],
        uid=os.getuid(),
        pid=os.getpid(),
        started=system.start_mark(os.getpid()) or 0.0,
        pid_namespace=system.pid_namespace(),
    )


def lives(pid: int, started: float) -> bool:
    """Whether the process with this number is the one that has this start mark; for pids of this pid namespace only."""
    return this_system().start_mark(pid) == started


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user whom passwd does not know
        return str(os.getuid())
