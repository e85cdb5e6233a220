"""`kubectl-localize`: runs one command, or answers a shell's Tab; puts every failure into words and an exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubectl_localize.cli.arguments import Arguments

COMPLETION = "__complete"
CTRL_C = 130
_TRACEBACK_VERBOSITY = 2
# Python's default, 700, has it look for cycles a hundred times while a command is imported: 4 of the 55 ms of `ls`.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000
# Each module has `run(args: Arguments) -> int`, and is imported only if it is the one.
_MODULES: Mapping[str, str] = {
    "": "kubectl_localize.cli.commands.start",
    "expose": "kubectl_localize.cli.commands.expose",
    "restore": "kubectl_localize.cli.commands.restore",
    "ls": "kubectl_localize.cli.commands.ls",
    "stop": "kubectl_localize.cli.commands.stop",
    "logs": "kubectl_localize.cli.commands.logs",
    "completion": "kubectl_localize.cli.commands.completion",
    "version": "kubectl_localize.cli.commands.version",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, or answer what may come next on a command line.

    Args:
        argv: the command line without the program's name; the process's own if None.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from kubectl_localize.cli import streams

    streams.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0].startswith(COMPLETION):  # what the commands need is not even imported then
        from kubectl_localize.cli.completion import shells

        return shells.answer(words[0], words[1:])
    try:
        from kubectl_localize.cli.arguments import parse

        return guarded(words, parse, run)
    except KeyboardInterrupt:  # while it is still being imported
        return CTRL_C
    finally:
        gc.freeze()  # or Python would look for cycles in all that was imported, which takes 6 ms, to then end anyway


def guarded(
    argv: Sequence[str], parse_arguments: Callable[[Sequence[str]], Arguments], command: Callable[[Arguments], int]
) -> int:
    """Parse a command line and run its command; every exception becomes an error line and an exit code."""
    from kubectl_localize.errors import LocalizeError

    verbosity, no_color = 0, "--no-color" in argv
    try:
        args = parse_arguments(argv)
        verbosity, no_color = args.verbosity, args.no_color
        code = command(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return CTRL_C
    except LocalizeError as failure:
        _flush_stdout()
        _show_traceback(verbosity)
        _show_error(failure.message, failure.hint, no_color)
        return failure.exit_code
    except BrokenPipeError as failure:
        return 0 if _stdout_is_gone() else _internal_error(failure, verbosity, no_color)
    except Exception as failure:
        if isinstance(failure, FileNotFoundError) and _directory_is_gone():
            _show_error("the current directory does not exist any more", "`cd` to one that does", no_color)
            return 1
        return _internal_error(failure, verbosity, no_color)


def run(args: Arguments) -> int:
    """Hand over to the command.

    Raises:
        LocalizeError: as the command says.
    """
    import os
    from importlib import import_module

    from kubectl_localize.errors import UsageError

    if args.help:
        from kubectl_localize.cli.arguments import help_text

        sys.stdout.write(help_text(args.command))
        return 0
    if is_sudo(os.geteuid(), os.environ):
        raise UsageError(
            "kubectl localize does not run under sudo",
            "run it as yourself; it asks for the privileges it needs by itself",
        )
    code: int = import_module(_MODULES[args.command]).run(args)
    return code


def is_sudo(effective_uid: int, environ: Mapping[str, str]) -> bool:
    """Whether an ordinary user started this as root; root itself is a user like any other."""
    return effective_uid == 0 and environ.get("SUDO_UID", "0") not in ("", "0")


def _directory_is_gone() -> bool:
    """Whether this process runs in a directory that somebody has deleted, so that no relative path means anything."""
    import os

    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _internal_error(failure: Exception, verbosity: int, no_color: bool) -> int:
    import traceback

    _flush_stdout()
    _show_traceback(verbosity)
    summary = "".join(traceback.format_exception_only(failure)).strip()
    shown = verbosity >= _TRACEBACK_VERBOSITY
    hint = "report it with the stack trace above" if shown else "run it again with -vv and report what it shows"
    _show_error(f"internal error: {summary}", hint, no_color)
    return 1


def _show_error(message: str, hint: str, no_color: bool) -> None:
    from kubectl_localize.cli import terminal

    terminal.error(message, hint, no_color=no_color)


def _show_traceback(verbosity: int) -> None:
    if verbosity >= _TRACEBACK_VERBOSITY:
        import traceback

        traceback.print_exc(file=sys.stderr)


def _flush_stdout() -> None:
    from kubectl_localize.errors import LocalizeError

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _stdout_is_gone()
    except (OSError, LocalizeError):  # what is stuck is dropped
        _point_stdout_at_nothing()


def _stdout_is_gone() -> bool:
    """Whether nobody reads stdout any more (`ls | head`); it is then pointed at nothing, so that the end is quiet."""
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
    import os

    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)
