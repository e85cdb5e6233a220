"""A program in a real pseudo-terminal: read until something is seen, type, change the size."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

CONTROL_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|\([0-9A-B]|[@-_])")


class Terminal:
    """One program and the terminal that it has to itself."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], columns: int = 120, rows: int = 40) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # setsid --ctty makes the terminal the program's controlling one, so that Ctrl-C typed here is a signal there.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", "--wait", *argv], stdin=slave, stdout=slave, stderr=slave, env=dict(env)
        )
        os.close(slave)
        self.raw = ""
        self._seen = 0

    @property
    def text(self) -> str:
        """All that was shown so far, without control sequences."""
        return CONTROL_SEQUENCE.sub("", self.raw).replace("\r\n", "\n")

    def expect(self, pattern: str, seconds: float = 20) -> re.Match[str]:
        """Read until the pattern is in what was shown since the last match; AssertionError when it does not come."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text[self._seen :])
            if found:
                self._seen += found.end()
                return found
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"no {pattern!r} in {seconds:g} s; the terminal shows:\n{self.text}")

    def expect_all(self, patterns: Sequence[str], seconds: float = 20) -> str:
        """Read until all patterns are in what was shown since the last match, in any order, and return that."""
        end = time.monotonic() + seconds
        while True:
            shown = self.text[self._seen :]
            missing = [pattern for pattern in patterns if not re.search(pattern, shown)]
            if not missing:
                self._seen += len(shown)
                return shown
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"no {missing!r} in {seconds:g} s; the terminal shows:\n{self.text}")

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self, seconds: float = 20) -> int:
        """Read until the program has ended and return its exit code."""
        end = time.monotonic() + seconds
        ended = False
        while self._read(min(0.2, end - time.monotonic())) or not ended:
            if time.monotonic() > end:
                raise AssertionError(f"no end in {seconds:g} s; the terminal shows:\n{self.text}")
            ended = self.process.poll() is not None  # and then once more: what it wrote last
        return self.process.wait()

    def close(self) -> None:
        """Hang up, as a closed window does."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
        if self.process.poll() is None:
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()

    def _read(self, seconds: float) -> bool:
        """Take in what is there, waiting for it; False when there was nothing, or the terminal is closed."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            block = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self.raw += block.decode(errors="replace")
        return bool(block)
