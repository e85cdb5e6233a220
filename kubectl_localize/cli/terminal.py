"""What people read: warnings, errors and progress on stderr, with colour and rewriting only on a terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import sys
import time
from collections.abc import Mapping
from typing import TextIO

from kubectl_localize.cli.streams import write_with_sequences
from kubectl_localize.text import one_line

_STYLES = {"red": "31", "green": "32", "yellow": "33", "dim": "2"}
_CLEAR_LINE = "\r\x1b[2K"


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def in_background(stream: TextIO) -> bool:
    """Whether a stream is our terminal, and belongs to another job at the moment: a shell's, after `command &`."""
    try:
        return os.tcgetpgrp(stream.fileno()) != os.getpgrp()
    except (OSError, ValueError):  # no terminal, or not this session's
        return False


def can_redraw(stream: TextIO) -> bool:
    """Whether what a stream shows may be rewritten in place: in the background others write to the terminal, too."""
    return is_terminal(stream) and not in_background(stream)


def can_ask() -> bool:
    """Whether somebody can be asked now. A background job that reads from its terminal is stopped instead."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not in_background(sys.stdin)


def color_wanted(stream_is_terminal: bool, no_color: bool, environ: Mapping[str, str]) -> bool:
    """Whether to colour: only on a terminal, and neither `--no-color` nor NO_COLOR nor TERM=dumb."""
    return stream_is_terminal and not no_color and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def paint(text: str, style: str) -> str:
    """Text in red, green, yellow or dim; any other style leaves it as it is."""
    code = _STYLES.get(style)
    return f"\x1b[{code}m{text}\x1b[0m" if code else text


class Console:
    """Writes lines for people.

    Args:
        stream: the lines go here.
        color: whether to colour them.
        live: whether the last line may be rewritten in place.
    """

    def __init__(self, stream: TextIO, *, color: bool = False, live: bool = False) -> None:
        self._stream = stream
        self._color = color
        self.live = live
        self._shown = ""

    def line(self, text: str) -> None:
        """A line of its own; a progress line stays below it."""
        shown = self._shown
        self._write(self._clear() + one_line(text) + "\n")
        if shown:
            self.progress(shown)

    def warning(self, text: str) -> None:
        """Print `warning: …`: something is missing, but the command goes on."""
        self._marked("warning:", "yellow", text)

    def error(self, message: str, hint: str = "") -> None:
        """`error: …` and, if there is one, `hint: …`."""
        self.done()
        self._marked("error:", "red", message)
        if hint:
            self._marked("hint:", "dim", hint)

    def progress(self, text: str) -> None:
        """The progress line: rewritten in place on a terminal, else a line of its own."""
        if not self.live:
            self._write(one_line(text) + "\n")
            return
        width = terminal_columns()
        clear, self._shown = self._clear(), one_line(text)
        self._write(clear + self._shown[: max(1, width - 1)])

    def done(self) -> None:
        """Takes the progress line away."""
        clear = self._clear()
        if clear:
            self._write(clear)

    def _marked(self, mark: str, style: str, text: str) -> None:
        shown = self._shown
        marked = paint(mark, style) if self._color else mark
        self._write(f"{self._clear()}{marked} {one_line(text)}\n")
        if shown:
            self.progress(shown)

    def _clear(self) -> str:
        shown, self._shown = self._shown, ""
        return _CLEAR_LINE if shown else ""

    def _write(self, text: str) -> None:
        try:
            write_with_sequences(self._stream, text)
            self._stream.flush()
        except (OSError, ValueError):  # nobody reads it any more
            pass


class Steps:
    """What a command waits for, and what has been done; the same text twice is shown once.

    Args:
        console: where it is shown.
        timed: whether a step that is done has a check mark and its time: `✓ exposure pod Ready (0.9 s)`.
        plain: whether, without a terminal, what is waited for has a line of its own; else it is not shown then.
    """

    def __init__(self, console: Console, *, timed: bool = False, plain: bool = False) -> None:
        self.console = console
        self._timed = timed
        self._plain = plain
        self._shares_terminal = False
        self._began = time.monotonic()
        self._doing = ""

    def restart(self) -> None:
        """The next step begins now."""
        self.quiet()
        self._began = time.monotonic()

    def share_terminal(self, shared: bool) -> None:
        """Whether somebody else writes to the terminal, too, from now on: then no line can be taken away again."""
        self.quiet()
        self._shares_terminal = shared

    def doing(self, text: str) -> None:
        """Show what is waited for from now on; an empty text shows nothing."""
        if text in ("", self._doing) or not (self.console.live or self._plain):
            return
        self._doing = text
        if self._shares_terminal:
            self.console.line(text)
        else:
            self.console.progress(text)

    def quiet(self) -> None:
        """Nothing is waited for; on a terminal the line disappears."""
        self._doing = ""
        self.console.done()

    def done(self, text: str) -> None:
        """Show a step that is done."""
        self._end_step("✓", text)

    def missed(self, text: str) -> None:
        """Show a step that has failed."""
        self._end_step("✗", text)

    def _end_step(self, mark: str, text: str) -> None:
        self.quiet()
        now = time.monotonic()
        self.console.line(f"{mark} {text} ({now - self._began:.1f} s)" if self._timed else text)
        self._began = now


def stderr_console(no_color: bool = False) -> Console:
    """The console on stderr, as this process's terminal and environment want it."""
    terminal = is_terminal(sys.stderr)
    color = color_wanted(terminal, no_color, os.environ)
    return Console(sys.stderr, color=color, live=can_redraw(sys.stderr))


def pause(seconds: float) -> None:
    """Sleep; raises BrokenPipeError as soon as nobody reads stdout any more (`ls -w | head`)."""
    poller = select.poll()
    with contextlib.suppress(OSError, ValueError):  # it is closed, or no file
        poller.register(sys.stdout.fileno(), 0)  # ERR and HUP are always told
    if any(events & (select.POLLERR | select.POLLHUP) for _, events in poller.poll(1000 * seconds)):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def stdout_color(no_color: bool = False) -> bool:
    """Whether to colour what goes to stdout."""
    return color_wanted(is_terminal(sys.stdout), no_color, os.environ)


def terminal_columns() -> int:
    """The terminal's width, or what COLUMNS says; 80 if neither is known."""
    import shutil  # 2 ms, for nothing if `ls` writes to a pipe

    return shutil.get_terminal_size().columns


def stdout_width() -> int | None:
    """The terminal's width in columns; None if stdout is no terminal."""
    return terminal_columns() if sys.stdout.isatty() else None


def warning(text: str, *, no_color: bool = False) -> None:
    """One `warning: …` on stderr."""
    stderr_console(no_color).warning(text)


def error(message: str, hint: str = "", *, no_color: bool = False) -> None:
    """One `error: …` and `hint: …` on stderr."""
    stderr_console(no_color).error(message, hint)
