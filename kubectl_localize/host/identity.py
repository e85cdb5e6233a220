"""Who and where we are, as a journal tells it to colleagues, and whether the process that wrote one still lives."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from dataclasses import dataclass

from kubectl_localize.host.process import start_mark

MACHINE_ID_FILES = ("/etc/machine-id", "/var/lib/dbus/machine-id")
BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class Here:
    """This process on this machine.

    Args:
        login: `alice@laptop`.
        machine: a hash of the machine's id (of its name where it has none), which cannot be had from it.
        uid: this user's number.
        pid, started: this process, and its start mark (`host.process.start_mark`).
        pid_namespace: where pids count: this boot, and the container in it; empty where the system does not say.
    """

    login: str
    machine: str
    uid: int
    pid: int
    started: float
    pid_namespace: str


def here() -> Here:
    """Look who and where this process is."""
    name = socket.gethostname()
    return Here(
        login=f"{_login()}@{name}",
        machine=hashlib.sha256((_machine_id() or name).encode()).hexdigest()[:16],
        uid=os.getuid(),
        pid=os.getpid(),
        started=start_mark(os.getpid()) or 0.0,
        pid_namespace=pid_namespace(),
    )


def lives(pid: int, started: float) -> bool:
    """Whether the process with this number is the one that has this start mark; for pids of this pid namespace only."""
    return start_mark(pid) == started


def pid_namespace() -> str:
    """What tells where pids count from all other such places, as `BOOT NAMESPACE`; empty where that cannot be known.

    Each container has pids of its own, and each boot begins anew, also that of another machine with the same id: both
    may be copies of one image.
    """
    try:
        with open(BOOT_ID_FILE, encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user whom passwd does not know
        return str(os.getuid())


def _machine_id() -> str:
    for path in MACHINE_ID_FILES:
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                return file.read().strip()
        except OSError:
            continue
    return ""
