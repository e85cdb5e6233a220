"""What the system tells on Linux, most of it from /proc."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.host.started import linux_stat
from kubectl_localize.host.system import linux_listening
from kubectl_localize.host.system.linux_peers import PeerLookup
from kubectl_localize.host.system.listeners import Listener, Program

MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
PF_EXITING = 0x4  # proc(5), the field `flags` of /proc/PID/stat


@dataclass(frozen=True)
class Linux:
    """See `System`.

    Args:
        proc: the directory at which /proc is mounted.
        machine_id_files: the first that can be read holds the machine's id (machine-id(5)).
    """

    proc: Path = Path("/proc")
    machine_id_files: tuple[Path, ...] = MACHINE_ID_FILES

    # sockaddr_un holds 108 bytes (unix(7)), the closing NUL included.
    socket_path_bytes: int = 107
    most_descriptors: int = 1_048_576
    aliases_loopback: bool = False

    @property
    def descriptors(self) -> str:
        """See `System`; empty if /proc is not mounted."""
        directory = self.proc / "self" / "fd"
        return str(directory) if directory.is_dir() else ""

    def unprivileged_port_start(self) -> int:
        """See `System`: the kernel's setting, 1024 if there is none."""
        try:
            return int((self.proc / "sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 1024

    def start_mark(self, pid: int) -> float | None:
        """See `System`: in clock ticks since boot."""
        fields = linux_stat(pid, str(self.proc))
        return float(fields[19]) if fields and fields[0] not in (b"Z", b"X") else None

    def is_ending(self, pid: int) -> bool:
        """See `System`: the kernel marks it first; a process with many threads is no zombie for a while."""
        fields = linux_stat(pid, str(self.proc))
        if fields:
            return bool(int(fields[6]) & PF_EXITING)
        try:
            return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def pid_namespace(self) -> str:
        """See `System`: the boot's id and the namespace's."""
        try:
            boot = (self.proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            return f"{boot} {os.readlink(self.proc / 'self/ns/pid')}"
        except OSError:
            return ""

    def machine_id(self) -> str:
        """See `System`."""
        for path in self.machine_id_files:
            try:
                return path.read_text(encoding="ascii", errors="replace").strip()
            except OSError:
                continue
        return ""

    def boot_ahead(self) -> float:
        """See `System`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)

    def peers(self) -> PeerLookup:
        """See `System`."""
        return PeerLookup()

    def listens(self, host: str, port: int) -> bool | None:
        """See `System`."""
        return linux_listening.listens(host, port)

    def listeners(self) -> list[Listener]:
        """See `System`."""
        return linux_listening.listeners() or []

    def program_of(self, listener: Listener) -> Program:
        """See `System`."""
        from kubectl_localize.host.system import linux_programs  # for exposures only

        return linux_programs.program_of(listener, self.proc)

    def sockets_of(self, command: int) -> set[int]:
        """See `System`."""
        from kubectl_localize.host.system import linux_programs

        return linux_programs.sockets_of(command, self.proc)
