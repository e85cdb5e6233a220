"""`kubectl-localize`: a command of the user's, or a shell's question what may come next, which has to be quick."""

from __future__ import annotations

import sys
from collections.abc import Sequence

COMPLETION = "__complete"
CTRL_C = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command, or answers what may come next on a command line.

    Args:
        argv: the command line without the program's name; the process's own when None.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0].startswith(COMPLETION):  # what the commands need is not even imported then
        from kubectl_localize.cli.completion import answering

        return answering.answer(arguments[0], arguments[1:])
    try:
        from kubectl_localize.cli import dispatch

        return dispatch.main(arguments)
    except KeyboardInterrupt:  # while it is still being imported
        return CTRL_C
