"""Our own files as they are found: something else may be in a file's place, and nobody waits for a pipe's writer.

A person, a backup or a container runtime may have left a directory, a pipe or a device there. Such a thing is never
read, and moved aside before our file is made.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from kubectl_localize.errors import LocalizeError
from kubectl_localize.json_text import parse_json

ASIDE = ".broken"
MOST_BYTES = 256 * 1024 * 1024  # a state file of 1,000 Services has 1 MB


def open_file(path: Path) -> BinaryIO:
    """Open a regular file for reading; returns at once, whatever is there.

    Raises:
        OSError: it is no regular file, or cannot be opened.
    """
    # O_NONBLOCK: a pipe would be waited for until somebody writes to it. For a regular file it means nothing.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: Path, errors: str = "strict") -> str:
    """The text of a regular file, which is UTF-8.

    Args:
        path: the file.
        errors: as for `bytes.decode`.

    Raises:
        OSError: it is no regular file, cannot be read, or is larger than anything that we write.
        ValueError: it is no UTF-8.
    """
    with open_file(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data.decode("utf-8", errors)


def read_json(path: Path) -> Any:
    """The value in a regular file that holds JSON.

    Raises:
        OSError: as `read_text`.
        ValueError: it is no JSON.
    """
    return parse_json(read_text(path))


def mark_outdated(path: Path) -> None:
    """Note that a file could not be replaced, in what a full disk still has room for: its time is that of the epoch."""
    with contextlib.suppress(OSError):
        os.utime(path, (0, 0))


def is_outdated(path: Path) -> bool:
    """Whether a file has been marked so."""
    try:
        return os.stat(path).st_mtime_ns == 0
    except OSError:
        return False


def move_aside(path: Path) -> Path:
    """Rename what is there, so that it can still be looked at (`NAME.broken`); an older one of that name goes.

    Returns:
        Where it is now.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = path.with_name(path.name + ASIDE)
    os.replace(path, aside)
    return aside


def make_room(path: Path, *, socket: bool = False) -> None:
    """Move aside what is in the place of a file of ours and is no file; all is well if nothing is there.

    Args:
        path: the file's place; a link to a file is as good as one.
        socket: whether it is the place of a socket.

    Raises:
        LocalizeError: it cannot be moved.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISSOCK(mode) if socket else stat.S_ISREG(mode):
        return
    try:
        move_aside(path)
    except OSError as error:
        raise LocalizeError(f"{path} is no file of ours, and is in the way", f"remove it: `rm -r {path}`") from error
