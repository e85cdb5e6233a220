"""Which process of which user on which machine this is, for journals, and whether the writer of a journal lives."""

from __future__ import annotations

import hashlib
import os
import pwd
import socket
from dataclasses import dataclass

from kubectl_localize.host.system import System, this_system


@dataclass(frozen=True)
class Here:
    """This process on this machine.

    Args:
        login: `alice@laptop`.
        machine: a hash of the machine's id, or of its name if it has no id, so that the cluster does not learn it.
        uid: this user's number.
        pid, started: this process, and the mark that tells it from others which had its number (`System.start_mark`).
        pid_namespace: the boot and the container that pids are of; empty if the system does not tell.
    """

    login: str
    machine: str
    uid: int
    pid: int
    started: float
    pid_namespace: str


def here(system: System | None = None) -> Here:
    """Return the identity of this process."""
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
    """Whether a process still lives.

    Args:
        pid: its number, in this pid namespace.
        started: its start mark, which tells it from a later process with the same number.
    """
    return this_system().start_mark(pid) == started


def user_name(uid: int) -> str:
    """What a user of this machine is called; the number if passwd does not know it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def _login() -> str:
    try:
        import getpass  # rarely asked for, and with modules that nothing else needs

        return getpass.getuser()
    except (KeyError, OSError):  # a user whom passwd does not know
        return str(os.getuid())
