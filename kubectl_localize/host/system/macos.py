"""What the system tells on macOS. Nobody has run this on a Mac yet: tests check its command lines only."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubectl_localize.host.system.listeners import Listener, Program

MACHINE_ID_COMMAND = ("/usr/sbin/ioreg", "-rd1", "-c", "IOPlatformExpertDevice")
_COMMAND_SECONDS = 5


def output(command: Sequence[str]) -> str:
    """Return what a short command prints; empty if it cannot be run, or takes over five seconds."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


@dataclass(frozen=True)
class NoPeers:
    """macOS does not tell which user a TCP connection belongs to, so every local user is admitted."""

    available: bool = False

    def uid(self, connection: socket.socket) -> int | None:
        """See `Peers`: always None."""
        return None

    def close(self) -> None:
        """See `Peers`: nothing is held."""


@dataclass(frozen=True)
class MacOS:
    """See `System`.

    Args:
        ask: runs a command and returns what it prints; empty if it fails.
    """

    ask: Callable[[Sequence[str]], str] = output

    # sockaddr_un holds 104 bytes (unix(4)), the closing NUL included.
    socket_path_bytes: int = 103
    descriptors: str = ""
    # A soft limit above OPEN_MAX is refused although the hard one is called unlimited (setrlimit(2)).
    most_descriptors: int = 10_240
    # lo0 has 127.0.0.1 only; each other address needs an alias.
    aliases_loopback: bool = True

    def unprivileged_port_start(self) -> int:
        """See `System`: since 10.14 anybody may bind a low port on all addresses, but not on a certain one."""
        return 1024

    def start_mark(self, pid: int) -> float | None:
        """See `System`: in seconds since the epoch, as the clock was when the process started."""
        import psutil

        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
        except (psutil.Error, ValueError, OverflowError):
            return None

    def is_ending(self, pid: int) -> bool:
        # Known only when it is a zombie: os.waitid came to macOS with Python 3.13.
        import psutil

        try:
            return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        except psutil.AccessDenied:
            return False
        except (psutil.Error, ValueError):
            return True

    def pid_namespace(self) -> str:
        """See `System`: there are none, and nothing tells one boot from another."""
        return ""

    def machine_id(self) -> str:
        """See `System`: the hardware's UUID."""
        match = re.search(r'"IOPlatformUUID" = "([0-9A-Fa-f-]+)"', self.ask(MACHINE_ID_COMMAND))
        return match[1] if match else ""

    def boot_ahead(self) -> float:
        """See `System`: here CLOCK_MONOTONIC goes on during sleep (clock_gettime(3)), unlike Python's `monotonic()`."""
        return time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(_awake_clock())

    def peers(self) -> NoPeers:
        """See `System`."""
        return NoPeers()

    def listens(self, host: str, port: int) -> bool | None:
        """See `System`: never known."""
        return None

    def listeners(self) -> tuple[Listener, ...]:
        """See `System`: never known."""
        return ()

    def program_of(self, listener: Listener) -> Program:
        """See `System`: never asked, as no listener is known."""
        return Program("a process", 0, str(listener.uid))

    def sockets_of(self, command: int) -> tuple[int, ...]:
        """See `System`: never known."""
        return ()


def _awake_clock() -> int:
    """The clock that stands still during sleep; Python's `time` names it on macOS only."""
    return int(getattr(time, "CLOCK_UPTIME_RAW", time.CLOCK_MONOTONIC))
