"""`stop`: ends supervisors and returns when everything is back."""

from __future__ import annotations

import contextlib
import os
import socket
from fnmatch import fnmatchcase

from kubectl_localize import __version__
from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.client import Control
from kubectl_localize.cli.listing.document import other_version
from kubectl_localize.cli.reach import reach
from kubectl_localize.cli.release import wait_for_release, warn_of_leftovers
from kubectl_localize.cli.running import meant
from kubectl_localize.errors import LocalizeError, NotFoundError
from kubectl_localize.host.files import read_text
from kubectl_localize.host.group_ledger import end_recorded_groups
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.host.process import Pidfile, owner
from kubectl_localize.ls_document import LsDocument, SupervisorItem
from kubectl_localize.protocol import Ended, Stopped, StopRequest

NAMED_AT_MOST = 5


def run(args: Arguments) -> int:
    """End the supervisor of the context or of all contexts, or what it does for some Services.

    Raises:
        LocalizeError: one does not end, or a name matches nothing that runs.
    """
    console = terminal.stderr_console(args.no_color)
    if args.words or args.namespaces:
        return _stop_services(args, console)
    runs = Paths.from_env(os.environ).all_runs() if args.all_contexts else [meant(args).run]
    stopped, failures = [], []
    for run_paths in runs:
        supervisor = _supervisor(run_paths)
        which = f"of context {supervisor.context}" if supervisor else f"in {run_paths.directory}"
        try:
            if stop(run_paths, console):
                stopped.append(run_paths)
                console.line(f"stopped the supervisor {which}")
        except LocalizeError as error:  # the others are to end all the same
            failures.append(error)
    for failure in failures[1:]:
        terminal.error(failure.message, failure.hint, no_color=args.no_color)
    if failures:
        raise failures[0]
    if not stopped:
        console.line(_nothing_runs(all_contexts=args.all_contexts))
    return 0


def _nothing_runs(*, all_contexts: bool) -> str:
    runs = [] if all_contexts else [run for run in Paths.from_env(os.environ).all_runs() if owner(run.pidfile)]
    more = f"; {len(runs)} of other contexts: --all or --context" if runs else ""
    return f"nothing is running{'' if all_contexts else ' for this context'}{more}"


def _stop_services(args: Arguments, console: terminal.Console) -> int:
    """End what the supervisor of the context does for some Services."""
    from kubectl_localize.cli.running_names import running_patterns

    supervisor = meant(args)
    run_paths = supervisor.run
    control = reach(run_paths)
    if control is None:
        raise NotFoundError(_nothing_runs(all_contexts=False), "`kubectl localize ls` lists what runs")
    try:
        document = LsDocument.from_text(read_text(run_paths.state))
    except (OSError, ValueError):  # it has just begun
        document = LsDocument()
    patterns = running_patterns(document, args.words, args.namespaces, supervisor.namespace)
    ended = _end(run_paths, control, StopRequest(patterns), console)
    keys = sorted({f"{item.namespace}/{item.name}" for item in document.items})
    stopped = [key for key in keys if any(fnmatchcase(key, pattern) for pattern in patterns)]
    listed = ", ".join(stopped) if len(stopped) <= NAMED_AT_MOST else f"{len(stopped)} Services"
    console.line(f"stopped {listed}{', and the supervisor: nothing else was running' if ended else ''}")
    return 0


def stop(run: RunPaths, console: terminal.Console) -> bool:
    """End one supervisor and wait until it has undone everything.

    Args:
        run: its files.
        console: shows what exposures do on their way back.

    Returns:
        Whether there was one.

    Raises:
        LocalizeError: as `reach` and `wait_for_release`.
    """
    ran = owner(run.pidfile) is not None
    connection = reach(run)
    if connection is None:
        sweep(run)
        warn_of_leftovers(run, console)
        return ran  # and was ending already
    supervisor = _supervisor(run)
    if supervisor is not None and (other := other_version(supervisor, __version__)):
        console.warning(other)
    _end(run, connection, StopRequest(), console)
    return True


def _end(run: RunPaths, connection: socket.socket, request: StopRequest, console: terminal.Console) -> bool:
    """Have a supervisor end something, and wait until it is back. Returns whether the supervisor has ended, too."""
    steps = terminal.Steps(console)
    control = Control(connection)
    control.send(request)
    try:
        return wait_for_release(control, run, steps, until=Stopped if request.patterns else Ended)
    finally:
        steps.quiet()
        control.close()


def _supervisor(run: RunPaths) -> SupervisorItem | None:
    """What the state file says of the supervisor; None if it says nothing."""
    try:
        return LsDocument.from_text(read_text(run.state)).supervisors[0]
    except (OSError, ValueError, IndexError):
        return None


def sweep(run: RunPaths) -> bool:
    """End the children and remove the files that a killed supervisor left; whether there were any files.

    The pidfile is held meanwhile: a supervisor that is just starting makes such files too.
    """
    names = (run.state, run.control, run.helper_socket, run.own_socket, run.groups)
    files = [path for path in names if os.path.exists(path)]
    if not files and not os.path.exists(run.pidfile):
        return False
    try:
        pidfile = Pidfile.acquire(run.pidfile)
    except OSError:
        return False
    if pidfile is None:
        return False
    end_recorded_groups(run.groups)
    for path in files:
        with contextlib.suppress(OSError):
            path.unlink()
    pidfile.release()
    return True
