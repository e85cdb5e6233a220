"""Reaches the supervisor of a context, starts one, and waits for its end.

A start imports this first, so that the supervisor is on its way while the rest of the command is imported.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.files import make_room
from kubectl_localize.host.paths import HOME_VARIABLE, RunPaths, make_private
from kubectl_localize.host.place import RECORD
from kubectl_localize.host.process import Pidfile, module_argv, owner, wait_released
from kubectl_localize.host.sockets import socket_address

END_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_COMMAND = "kubectl localize logs"


def connect(run: RunPaths) -> socket.socket | None:
    """Connect to the supervisor that runs there; None if none answers."""
    with contextlib.ExitStack() as failing:
        connection = failing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            with socket_address(run.control) as address:
                connection.connect(address)
        except (OSError, LocalizeError):
            return None
        failing.pop_all()
    return connection


def spawn(run: RunPaths) -> socket.socket:
    """Start a supervisor in a session of its own, connected to this command from its first moment.

    Raises:
        LocalizeError: it cannot be started.
    """
    make_private(run.directory)  # another command that failed may have just removed it
    _make_room(run)
    ours, theirs = socket.socketpair()
    try:
        with theirs, os.fdopen(os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
            subprocess.Popen(
                module_argv("kubectl_localize.supervisor", str(theirs.fileno()), run.key),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
                env={**os.environ, HOME_VARIABLE: str(run.directory.parent)},  # absolute: it is elsewhere
            )
    except OSError as error:
        ours.close()
        raise LocalizeError(f"the supervisor cannot be started: {error.strerror or error}") from error
    return ours


def _make_room(run: RunPaths) -> None:
    """Move aside what is in the place of a supervisor's files and is none of them.

    Raises:
        LocalizeError: it cannot be moved.
    """
    for file in (run.pidfile, run.log, run.state, run.groups, run.exposures):
        make_room(file)
    for path in (run.control, run.helper_socket, run.own_socket):
        make_room(path, socket=True)


def reach(run: RunPaths) -> socket.socket | None:
    """Connect to the supervisor that runs there, and wait if it is just starting or ending.

    Returns:
        None if none runs, or it has just ended.

    Raises:
        LocalizeError: it neither answers nor ends in half a minute.
    """
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        connection = connect(run)
        if connection is not None:
            return connection
        if owner(run.pidfile) is None:
            return None
        time.sleep(POLL_SECONDS)
    raise no_answer(owner(run.pidfile) or 0)


def no_answer(pid: int) -> LocalizeError:
    """The error for a supervisor that runs, and does not answer: most likely it was stopped (SIGSTOP)."""
    return LocalizeError(
        f"the supervisor with pid {pid} does not answer",
        f"`kill -CONT {pid}` wakes one that was stopped; `kill -9 {pid}` ends it, and `kubectl localize restore`"
        " undoes what it leaves",
    )


def another(run: RunPaths) -> socket.socket:
    """Connect to the supervisor that is just starting there, or start a new one if it is just ending.

    Raises:
        LocalizeError: as `reach` and `spawn`.
    """
    return reach(run) or spawn(run)


def wait_ended(run: RunPaths) -> bool:
    """Wait until the supervisor that holds the pidfile now has ended.

    Returns:
        False if it still runs after half a minute.
    """
    return wait_released(run.pidfile, END_SECONDS)


def _remove_unused(paths: RunPaths) -> None:
    """Remove a directory, unless a supervisor runs there, or exposures were begun.

    The pidfile is held meanwhile, so that no supervisor that another command has just started loses its files. One
    that starts a moment later makes the directory anew (`spawn`).
    """
    try:
        pidfile = Pidfile.acquire(paths.pidfile)
    except OSError:
        return
    if pidfile is None:
        return
    if not os.path.exists(paths.exposures):
        shutil.rmtree(paths.directory, ignore_errors=True)
    pidfile.let_go()


@contextlib.contextmanager
def discard_new_state_dirs(paths: RunPaths, unused: Callable[[], bool]) -> Iterator[None]:
    """Make the state directories, and remove the new ones if the command fails before anybody has used them.

    Args:
        paths: of the context.
        unused: whether the command itself has left nothing there that explains the failure. A log stays in any case
            if the error's hint names it.

    Raises:
        LocalizeError: they cannot be made private.
    """
    directory = paths.directory
    new = [path for path in (directory, *directory.parents) if not os.path.exists(path)]
    try:
        make_private(directory.parent)
        make_private(directory)
        yield
    except LocalizeError as error:
        if directory in new and unused() and LOG_COMMAND not in error.hint:
            _remove_unused(paths)
        for path in new[1:]:
            with contextlib.suppress(OSError):
                if os.listdir(path) == [RECORD]:  # the supervisor has noted whose the directory is
                    os.unlink(path / RECORD)
                path.rmdir()
        raise
