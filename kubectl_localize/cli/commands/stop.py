"""`stop`: ends supervisors and returns when everything is back."""

from __future__ import annotations

import contextlib
import os

from kubectl_localize import __version__
from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.client import Control
from kubectl_localize.cli.listing.document import other_version
from kubectl_localize.cli.reach import reach
from kubectl_localize.cli.release import wait_for_release, warn_of_leftovers
from kubectl_localize.cli.running import meant
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.files import read_text
from kubectl_localize.host.group_ledger import end_recorded_groups
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.host.process import Pidfile, owner
from kubectl_localize.ls_document import LsDocument, SupervisorItem
from kubectl_localize.protocol import Ended, StopRequest


def run(args: Arguments) -> int:
    """End the supervisor of the context, or of all contexts.

    Raises:
        LocalizeError: one does not end.
    """
    console = terminal.stderr_console(args.no_color)
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
        others = (
            [] if args.all_contexts else [run for run in Paths.from_env(os.environ).all_runs() if owner(run.pidfile)]
        )
        more = f"; {len(others)} of other contexts: --all or --context" if others else ""
        console.line(f"nothing is running{'' if args.all_contexts else ' for this context'}{more}")
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
    steps = terminal.Steps(console)
    control = Control(connection)
    control.send(StopRequest())
    try:
        wait_for_release(control, run, steps, until=Ended)
    finally:
        steps.quiet()
        control.close()
    return True


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
