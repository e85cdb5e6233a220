"""The three standard streams, in whatever state somebody hands them down; all that people see goes out through here.

Cron, a service manager or `>&-` may leave a stream closed, and a parent may have made it non-blocking. And what is
printed comes from clusters in part, which must not steer the terminal.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from kubectl_localize.errors import LocalizeError
from kubectl_localize.text import printable

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutputError(LocalizeError):
    """What was printed did not get out: the disk is full, or stdout is closed."""


class SafeText(io.TextIOWrapper):
    """Lets through lines of printable characters, and nothing that steers a terminal."""

    def write(self, text: str) -> int:
        return self.write_as_it_is(printable(text))

    def write_as_it_is(self, text: str) -> int:
        """Write text with our own colours and cursor movements (see `write_with_sequences`)."""
        return super().write(text)

    @property
    def buffer(self) -> BinaryIO:
        """For bytes that are text (UTF-8), such as a log's; they go through `write`, too."""
        return cast(BinaryIO, _SafeBytes(self))


class _SafeBytes(io.BufferedIOBase):
    """Decodes what is written, and writes it as text; a character may come in parts."""

    def __init__(self, stream: SafeText) -> None:
        super().__init__()
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: Buffer, /) -> int:
        self._stream.write(self._decoder.decode(bytes(data)))
        return len(memoryview(data))

    def flush(self) -> None:
        self._stream.flush()


class SafeOutput(SafeText):
    """The same for data, whose loss is an error; a reader that has gone is none (BrokenPipeError)."""

    def write_as_it_is(self, text: str) -> int:
        try:
            return super().write_as_it_is(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _output_error(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _output_error(error) from error


class _PatientFile(io.FileIO):
    """A descriptor that may not block: waits for room, as a write would otherwise be lost."""

    def write(self, data: Buffer, /) -> int:
        # None: there is no room. typeshed does not say so.
        while (written := cast("int | None", super().write(data))) is None:
            _wait_for_room(self.fileno())
        return written


class _MessageFile(_PatientFile):
    """Stderr: if it takes nothing, nobody is left to be told, and the work goes on."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def _wait_for_room(descriptor: int) -> None:
    import select

    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    poller.poll()


def write_with_sequences(stream: TextIO, text: str) -> None:
    """Write text that holds escape sequences of our own, for colours and cursor movements.

    Args:
        stream: where it goes.
        text: each part of it that others wrote has to have gone through `one_line`.
    """
    if isinstance(stream, SafeText):
        stream.write_as_it_is(text)
    else:
        stream.write(text)


def print_lines(lines: Iterable[str]) -> None:
    """Print data, a line for each text, whatever the text holds."""
    sys.stdout.write("".join(f"{printable(line).replace(chr(10), ' ')}\n" for line in lines))


def prepare() -> None:
    """Make stdin, stdout and stderr usable; to be called before anything else is opened.

    A descriptor below 3 that is free would be given to the next file or socket, and what is printed would go there.
    Streams that others have put in place (tests do) stay as they are.
    """
    _occupy(_STDIN, os.O_RDONLY)
    _occupy(_STDOUT, os.O_RDONLY)  # so that a write fails, as it does if it is closed
    _occupy(_STDERR, os.O_WRONLY)  # nobody is left to be told anything: the work goes on
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(_STDIN, closefd=False)))
    if sys.stdout is None or type(sys.stdout) is io.TextIOWrapper:
        sys.stdout = _around(SafeOutput, _PatientFile(_STDOUT, "w", closefd=False), sys.stdout)
    if sys.stderr is None or type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = _around(SafeText, _MessageFile(_STDERR, "w", closefd=False), sys.stderr)


def _occupy(descriptor: int, flags: int) -> None:
    """Open /dev/null at a descriptor that is free."""
    try:
        os.fstat(descriptor)
    except OSError:
        opened = os.open(os.devnull, flags)  # the lowest free number, as those below are taken
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
        os.set_inheritable(descriptor, True)


def _around(kind: type[SafeText], file: io.FileIO, before: io.TextIOWrapper | None) -> SafeText:
    """A stream to the file, with the encoding and the buffering of the one that was there before."""
    return kind(
        io.BufferedWriter(file),
        encoding="utf-8" if before is None else before.encoding,
        errors="replace",  # `…` in a Latin-1 terminal
        line_buffering=before is not None and (before.line_buffering or before.write_through),
    )


def _output_error(error: OSError) -> OutputError:
    if error.errno == errno.EBADF:
        return OutputError("the output cannot be written: stdout is closed", "`>/dev/null` instead of `>&-` drops it")
    hint = "is the disk full?" if error.errno in _NO_ROOM else "does what stdout leads to still exist?"
    return OutputError(f"the output cannot be written: {error.strerror or error}", hint)
