"""Runs a command in the terminal's foreground, as a shell runs a job: in a process group of its own."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from kubectl_localize.errors import LocalizeError

# INT as well: if the command has no terminal, or if it comes from `kill`, it comes to us.
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_STDIN = 0
_HINTS = {
    errno.ENOENT: "a shell's aliases, functions and builtins need that shell: `-- bash -ic '…'`",
    errno.EACCES: "`chmod +x` makes a file one that may be run",
    errno.ENOEXEC: "a script needs a first line such as `#!/bin/sh`",
}


def check(argv: Sequence[str]) -> str:
    """The path of the program that a command line names, looked for as a shell does.

    Raises:
        LocalizeError: there is none, or none that may be run.
    """
    name = argv[0]
    path = name if "/" in name else shutil.which(name)
    if path is None:
        raise LocalizeError(f"{name}: command not found", _HINTS[errno.ENOENT])
    for refused, number in (
        (not os.path.exists(path), errno.ENOENT),
        (os.path.isdir(path), errno.EISDIR),
        (not os.access(path, os.X_OK), errno.EACCES),
    ):
        if refused:
            raise _cannot_run(name, number)
    return path


class Command:
    """One run of a command, for the main thread; `select` can wait for it beside sockets.

    It has the terminal if stdin is one and ours: it may read, and Ctrl-C reaches it and not us. INT, TERM, HUP and
    QUIT that come to us nevertheless are passed on to its group until it has ended. When it stops (Ctrl-Z), so does our
    group, and when a shell continues us it goes on, in the foreground or not, as a shell's own job would.

    The wait is a pipe that SIGCHLD writes to, and no pidfd: that would not tell of a stop, and macOS has none.

    Args:
        argv: the command line as typed, which everybody on this machine may see.
        environment: the command's whole environment, the only place for Secrets. The program itself is looked for with
            this process's PATH.

    Raises:
        LocalizeError: as `check`.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self._path = check(argv)
        self._argv = list(argv)
        self._environment = {_encoded(name): _encoded(value) for name, value in environment.items()}
        self._process: subprocess.Popen[bytes] | None = None
        self._exit_code: int | None = None
        self._early: list[int] = []  # signals that came while it was being started
        self._lent = False  # whether it has the terminal
        self._modes: list[Any] | None = None  # the terminal's, before
        self._handlers: dict[signal.Signals, Any] = {}  # ours, before
        self._woken, self._wakes, self._wakes_before = -1, -1, -1

    @property
    def process_group(self) -> int:
        """Its process group; 0 before `start`."""
        return self._process.pid if self._process is not None else 0

    def fileno(self) -> int:
        """What becomes readable when `poll` may have something new; only between `start` and the end."""
        return self._woken

    def start(self) -> None:
        """Start it.

        Raises:
            LocalizeError: the system refuses; nothing has changed then.
        """
        self._lent = _foreground() == os.getpgrp()
        self._modes = termios.tcgetattr(_STDIN) if self._lent else None
        self._listen()
        try:
            self._process = subprocess.Popen(
                self._argv,
                executable=self._path,
                env=self._environment,
                process_group=0,
                # In the child, before it can read or ask whose the terminal is; there are no threads to mind.
                preexec_fn=_take_foreground if self._lent else None,
            )
        except OSError as error:
            self._clean_up()
            raise _cannot_run(self._argv[0], error.errno or errno.EIO) from error
        for number in self._early:
            self._signal(number)

    def poll(self) -> int | None:
        """The exit code, 128 and the number for a signal, as shells have it; None while it runs. Never waits.

        If it was stopped (Ctrl-Z), this process stops too, and the call returns after both were continued. When it has
        ended, the terminal and our signal handlers are as before.
        """
        if self._process is None or self._exit_code is not None:
            return self._exit_code
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        pid, status = os.waitpid(self._process.pid, os.WNOHANG | os.WUNTRACED)
        if pid and os.WIFSTOPPED(status):
            self._stop_too()
        elif pid:
            code = self._process.returncode = os.waitstatus_to_exitcode(status)
            self._exit_code = code if code >= 0 else 128 - code
            self._clean_up()
        return self._exit_code

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for the end, at most so many seconds; None: for ever. Returns as `poll`."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while (code := self.poll()) is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                break
            select.select([self], [], [], left)
        return code

    def end(self, grace_seconds: float) -> int | None:
        """End it: TERM to its group, after the grace period KILL; returns as `poll` when it has ended."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a stopped one would not notice
        if self.wait(grace_seconds) is None:
            self._signal(signal.SIGKILL)
        return self.wait()

    # -- signals ------------------------------------------------------------------------------------------------------
    def _listen(self) -> None:
        self._woken, self._wakes = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wakes, False)
        self._wakes_before = signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        wanted: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
            **dict.fromkeys(_PASSED_ON, self._pass_on),
            signal.SIGCHLD: _nothing,
            signal.SIGCONT: self._go_on,
        }
        for number, handler in wanted.items():
            # What is ignored stays so, for us and for the command, which inherits it: that is what nohup does.
            if number == signal.SIGCHLD or signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, handler)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        self._signal(number)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for one that is not reaped
                os.killpg(self._process.pid, number)

    def _stop_too(self) -> None:
        """Stop as a job does, so that the shell takes over; if there is none, the system does not let us."""
        self._take_back()
        os.killpg(0, signal.SIGTSTP)
        if _foreground() == os.getpgrp():
            self._go_on()

    def _go_on(self, *_: object) -> None:
        """We were continued, or moved to the foreground: so is the command."""
        if self._process is None:
            return
        if _foreground() == os.getpgrp():
            _take_foreground(self._process.pid)
        self._lent = _foreground() == self._process.pid
        self._signal(signal.SIGCONT)

    def _take_back(self) -> None:
        if self._lent:
            _take_foreground()
        self._lent = False

    def _clean_up(self) -> None:
        lent = self._lent
        self._take_back()
        if lent and self._modes is not None:
            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(_STDIN, termios.TCSANOW, self._modes)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakes_before)
        os.close(self._woken)
        os.close(self._wakes)
        self._woken = -1


def _encoded(text: str) -> bytes:
    """A part of the environment as this machine has it; what its locale lacks (a container's value) in UTF-8."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _foreground() -> int:
    """The process group that has the terminal on stdin; 0 if stdin is no terminal of our session."""
    try:
        return os.tcgetpgrp(_STDIN)
    except OSError:
        return 0


def _take_foreground(group: int | None = None) -> None:
    """Give the terminal to a process group (None: our own), even if ours does not have it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # else that would stop us
    try:
        with contextlib.suppress(OSError):  # the terminal or the group has gone
            os.tcsetpgrp(_STDIN, os.getpgrp() if group is None else group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _nothing(*_: object) -> None:
    """Handles SIGCHLD: that it is handled at all makes it write to the pipe."""


def _cannot_run(name: str, number: int) -> LocalizeError:
    return LocalizeError(f"{name}: {os.strerror(number)}", _HINTS.get(number, ""))
