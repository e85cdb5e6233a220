"""`logs`: prints a supervisor's log."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.terminal import pause
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.files import open_file
from kubectl_localize.host.paths import Paths, RunPaths

POLL_SECONDS = 0.25
_CHUNK_BYTES = 1 << 16


def run(args: Arguments) -> int:
    """Print the log, with `-f` what is added to it too, until Ctrl-C.

    Raises:
        LocalizeError: there is no log.
    """
    only = None if args.connection_flags else only_log(_all_runs(Paths.from_env(os.environ)))
    log = (only or _current(args)).log
    sys.stdout.flush()
    try:
        if args.follow:
            follow(log, sys.stdout.buffer, pause)
        with open_file(log) as file:
            copy(file, sys.stdout.buffer)
    except KeyboardInterrupt:
        if not args.follow:
            raise
    except FileNotFoundError as error:
        raise _no_log(log) from error
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise LocalizeError(f"the log {log} cannot be read: {error.strerror}") from error
    return 0


def _all_runs(paths: Paths) -> list[RunPaths]:
    """Also those of contexts in which nothing runs any more."""
    try:
        return [paths.run(name) for name in sorted(os.listdir(paths.root))]
    except OSError:
        return []


def only_log(runs: Sequence[RunPaths]) -> RunPaths | None:
    """The run that has a log, when it is the only one."""
    with_log = [run for run in runs if run.log.is_file()]
    return with_log[0] if len(with_log) == 1 else None


def _current(args: Arguments) -> RunPaths:
    from kubectl_localize.cli.connection import current_run

    return current_run(args)


def _no_log(log: Path) -> LocalizeError:
    return LocalizeError(
        f"there is no log at {log}", "start with kubectl localize, or name another context with --context"
    )


def copy(source: BinaryIO, out: BinaryIO) -> None:
    """Copy everything from the source's position to its present end."""
    while chunk := source.read(_CHUNK_BYTES):
        out.write(chunk)
    out.flush()


def follow(log: Path, out: BinaryIO, sleep: Callable[[float], None]) -> None:
    """The log and what is added to it, also over rotation and truncation; ends with what `sleep` or `out` raises.

    Raises:
        FileNotFoundError: there is none at the start.
    """
    file: BinaryIO = open_file(log)
    try:
        while True:
            copy(file, out)
            successor = _successor(file, log)
            if successor is None:
                sleep(POLL_SECONDS)
                continue
            copy(file, out)  # what was written between the last look and the rotation
            file.close()
            file = successor
    finally:
        file.close()


def _successor(file: BinaryIO, log: Path) -> BinaryIO | None:
    """The file that has taken this one's place after a rotation; None if none has. A file that was cut is rewound."""
    here = os.fstat(file.fileno())
    if here.st_size < file.tell():
        file.seek(0)
        return None
    try:
        candidate = open_file(log)
    except FileNotFoundError:
        return None  # between the renaming and the new file
    if os.path.samestat(here, os.fstat(candidate.fileno())):
        candidate.close()
        return None
    return candidate
