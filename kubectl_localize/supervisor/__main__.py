"""`python -m kubectl_localize.supervisor`: started by a command, which hands down its connection as a descriptor."""

from __future__ import annotations

import gc
import logging
import os
import socket
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from kubectl_localize.host.guard import Guard
from kubectl_localize.supervisor.openssl import import_without_openssl
from kubectl_localize.text import one_line

if TYPE_CHECKING:
    import asyncio

LOG_BYTES = 1024 * 1024
LOG_FILES = 3
# Python's default, 700, has it look for cycles hundreds of times while a thousand Services are read, and find none.
OBJECTS_BETWEEN_COLLECTIONS = 10_000
LOG_TIME = "%Y-%m-%d %H:%M:%S"


class LogFormatter(logging.Formatter):
    """Writes for people: the time, `warning:` or `error:` if it is one, and a sentence.

    What others say does not steer the terminal that `logs` prints to: kubectl, ssh, the API server, pods.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s", LOG_TIME)

    def format(self, record: logging.LogRecord) -> str:
        mark = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        record.msg, record.args = mark + one_line(record.getMessage()), ()
        lines = super().format(record).splitlines()  # more than one if it has a stack trace
        return "\n".join(line if line.isprintable() else one_line(line) for line in lines)


def main(argv: list[str]) -> int:
    """Run a supervisor.

    Args:
        argv: the descriptor of the starting command's socket, and the context's key.
    """
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    os.umask(0o077)
    inherited = socket.socket(fileno=int(argv[0]))
    inherited.set_inheritable(False)
    if not _has_descriptors(inherited):
        return 1
    guard = Guard.start()

    import_without_openssl()
    import asyncio

    from kubectl_localize.host.group_ledger import GroupLedger, end_recorded_groups
    from kubectl_localize.host.paths import HOME_VARIABLE, Paths
    from kubectl_localize.host.place import record, this_place
    from kubectl_localize.host.process import Pidfile
    from kubectl_localize.protocol import Failed, Taken, to_line
    from kubectl_localize.supervisor.app import serve
    from kubectl_localize.supervisor.housekeeping import Housekeeping

    paths = Paths.from_env(os.environ)
    run = paths.run(argv[1])
    try:
        run.directory.mkdir(mode=0o700, parents=True, exist_ok=True)  # a command that failed may have just removed it
        pidfile = Pidfile.acquire(run.pidfile)
        if pidfile is not None:
            record(paths.root, this_place())
            _log_to(run.log)
    except OSError as error:
        hint = f"make room on that disk (`df` tells), or set {HOME_VARIABLE} to another directory"
        why = error.strerror or str(error)
        inherited.sendall(to_line(Failed(f"the supervisor cannot write to {run.directory}: {why}", hint)))
        guard.close()
        return 1
    if pidfile is None:  # two commands started at once: the other one's supervisor takes this one, too
        inherited.sendall(to_line(Taken()))
        guard.close()
        return 0
    gc.freeze()
    end_recorded_groups(run.groups)  # of a supervisor that was killed together with its guard
    groups = GroupLedger(run.groups, guard)
    housekeeping = Housekeeping(run, pidfile, groups, lambda: _log_to(run.log))
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(serve(paths, run, groups, inherited, housekeeping))
    finally:
        groups.close()
        housekeeping.leave()
    return 0


def _has_descriptors(inherited: socket.socket) -> bool:
    """Whether this process may have enough open files; if not, the command that started it is told."""
    from kubectl_localize.host.sockets import FEWEST_DESCRIPTORS, descriptor_limit, raise_descriptor_limit

    raise_descriptor_limit()
    limit = descriptor_limit()
    if 0 <= limit < FEWEST_DESCRIPTORS:  # no limit is a negative number
        from kubectl_localize.protocol import Failed, to_line

        message = f"a process may have only {limit} open files here, and the supervisor needs {FEWEST_DESCRIPTORS}"
        inherited.sendall(to_line(Failed(message, "`ulimit -n 1024`, and start it again")))
        return False
    return True


def _log_to(path: Path) -> None:
    """Log to a file, and to none that was opened before. Raises OSError: it cannot be opened."""
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    handler.setFormatter(LogFormatter())
    logging.raiseExceptions = False  # on a full disk a line is lost, and not replaced by a stack trace
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop that learns of ended children without a thread for each (Python 3.12 and later do so anyway)."""
    import asyncio

    loop = asyncio.new_event_loop()
    if sys.version_info < (3, 12) and hasattr(os, "pidfd_open"):
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        asyncio.set_child_watcher(watcher)
    return loop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
