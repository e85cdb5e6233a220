"""Parses, hands over to the command, and puts failures into words."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from kubectl_localize.cli import terminal
from kubectl_localize.cli.parsing.arguments import (
    Arguments,
    CompletionArgs,
    ExposeArgs,
    HelpArgs,
    LogsArgs,
    LsArgs,
    RestoreArgs,
    StartArgs,
    StopArgs,
    VersionArgs,
)
from kubectl_localize.cli.parsing.parser import parse
from kubectl_localize.cli.sudo import is_sudo
from kubectl_localize.errors import LocalizeError, UsageError

CTRL_C = 130
_TRACEBACK_VERBOSITY = 2


def main(argv: Sequence[str]) -> int:
    """Runs one command.

    Args:
        argv: the command line without the program's name.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # `…` in a Latin-1 terminal
    return guarded(argv, parse, run)


def guarded(
    argv: Sequence[str], parse_arguments: Callable[[Sequence[str]], Arguments], command: Callable[[Arguments], int]
) -> int:
    """Parses and runs; whatever is raised becomes a line for people and an exit code."""
    args = Arguments(no_color="--no-color" in argv)
    try:
        args = parse_arguments(argv)
        code = command(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return CTRL_C
    except LocalizeError as failure:
        _flush_stdout()
        _traceback(args)
        terminal.error(failure.message, failure.hint, no_color=args.no_color)
        return failure.exit_code
    except BrokenPipeError:
        if _stdout_is_gone():
            return 0
        return _internal_error(args)
    except OSError as failure:
        if not _is_full(failure):
            return _internal_error(args)
        _flush_stdout()  # which drops what is stuck
        reason = failure.strerror or str(failure)
        terminal.error(f"the output cannot be written: {reason}", "is the disk full?", no_color=args.no_color)
        return 1
    except Exception:
        return _internal_error(args)


def run(args: Arguments) -> int:
    """Hands over to the command; each is imported only when it is the one.

    Raises:
        LocalizeError: as the command says.
    """
    if isinstance(args, HelpArgs):
        sys.stdout.write(args.text)
        return 0
    if is_sudo(os.geteuid(), os.environ):
        raise UsageError(
            "kubectl localize does not run under sudo",
            "run it as yourself; it asks for the privileges it needs by itself",
        )
    if isinstance(args, LsArgs):
        from kubectl_localize.cli.commands import ls

        return ls.run(args)
    if isinstance(args, LogsArgs):
        from kubectl_localize.cli.commands import logs

        return logs.run(args)
    if isinstance(args, CompletionArgs):
        from kubectl_localize.cli.completion import command

        return command.run(args)
    if isinstance(args, VersionArgs):
        from kubectl_localize.cli.commands import version

        return version.run(args)
    if isinstance(args, StopArgs):
        from kubectl_localize.cli.commands import stop

        return stop.run(args)
    if isinstance(args, ExposeArgs):
        from kubectl_localize.cli.commands import expose

        return expose.run(args)
    if isinstance(args, RestoreArgs):
        from kubectl_localize.cli.commands import restore

        return restore.run(args)
    from kubectl_localize.cli.commands import start

    return start.run(_as(args, StartArgs))


_Kind = TypeVar("_Kind")


def _as(args: Arguments, kind: type[_Kind]) -> _Kind:
    if not isinstance(args, kind):
        raise TypeError(f"no command takes {type(args).__name__}")
    return args


def _internal_error(args: Arguments) -> int:
    import traceback

    _flush_stdout()
    failure = sys.exception() if sys.version_info >= (3, 12) else sys.exc_info()[1]
    _traceback(args)
    summary = "".join(traceback.format_exception_only(failure)).strip()
    shown = args.verbosity >= _TRACEBACK_VERBOSITY
    hint = "report it with the stack trace above" if shown else "run it again with -vv and report what it shows"
    terminal.error(f"internal error: {summary}", hint, no_color=args.no_color)
    return 1


def _traceback(args: Arguments) -> None:
    if args.verbosity >= _TRACEBACK_VERBOSITY:
        import traceback

        traceback.print_exc(file=sys.stderr)


def _flush_stdout() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _stdout_is_gone()
    except OSError:
        _point_stdout_at_nothing()


def _is_full(failure: OSError) -> bool:
    """Whether what is printed does not fit: where it is a file of ours, that is a LocalizeError, or names the file."""
    return failure.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) and failure.filename is None


def _stdout_is_gone() -> bool:
    """Whether nobody reads stdout any more (`ls | head`); it is then pointed at nothing, so that ending is quiet."""
    import select

    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    if not any(events & (select.POLLERR | select.POLLHUP) for _, events in poller.poll(0)):
        return False
    _point_stdout_at_nothing()
    return True


def _point_stdout_at_nothing() -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
