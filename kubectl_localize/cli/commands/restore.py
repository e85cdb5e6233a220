"""`kubectl localize restore`: has a supervisor undo what crashed runs of this user left, and shows what it does."""

from __future__ import annotations

import os
import sys

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.client import (
    ANSWER_SECONDS,
    Control,
    another,
    connect,
    discard_new_state_dirs,
    spawn,
    wait_ended,
)
from kubectl_localize.cli.commands.stop import sweep
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths, make_private
from kubectl_localize.host.process import owner
from kubectl_localize.protocol import (
    Accepted,
    Answer,
    ConfirmationNeeded,
    Ended,
    Event,
    Failed,
    PlanReady,
    Progress,
    RestoreDone,
    RestoreRequest,
    Step,
    Taken,
    Warn,
)


def run(args: Arguments) -> int:
    """Undo what dead sessions of this user left; name what is left alone.

    Returns:
        The exit code, 1 if something could not be undone.

    Raises:
        LocalizeError: the cluster cannot be asked.
    """
    connection = resolve(args)
    console = terminal.stderr_console(args.no_color)
    swept = [] if args.dry_run else _sweep_machine()
    for run_path in swept:
        console.line(f"removed what a killed supervisor left in {run_path.directory}")
    paths = run_paths(connection)
    request = RestoreRequest(connection, args.namespaces, args.dry_run, args.yes)
    with discard_new_state_dirs(paths, lambda: not paths.exposures.exists()):
        make_private(paths.directory.parent)
        make_private(paths.directory)
        restore = Restore(request, paths, console)
        done = restore.run()
    for failure in restore.failures:
        terminal.error(failure.message, failure.hint, no_color=args.no_color)
    if not done.found and not swept:
        console.line("there is nothing to undo")
    return 1 if restore.failures else 0


class Restore:
    """One run of the command, with the supervisor that runs at `paths`, or a new one, which ends afterwards.

    Attributes:
        failures: what could not be undone or looked for.
    """

    def __init__(self, request: RestoreRequest, paths: RunPaths, console: terminal.Console) -> None:
        self._request = request
        self._paths = paths
        self._console = console
        self.failures: list[LocalizeError] = []

    def run(self) -> RestoreDone:
        """Send the request, and show what comes of it.

        Raises:
            LocalizeError: the supervisor does not answer, or is gone before it is done.
        """
        control = connect(self._paths) or spawn(self._paths)
        try:
            while (done := self._listen(control)) is None:
                control.close()
                control = another(self._paths)
        finally:
            self._console.done()
            control.close()
        if done.ending:
            wait_ended(self._paths)
        return done

    def _listen(self, control: Control) -> RestoreDone | None:
        """Show events until the supervisor is done; None if another one has to be asked."""
        control.patient(ANSWER_SECONDS)
        control.send(self._request)
        answered = accepted = False
        for event in control.events():
            answered = True
            control.patient(None)
            match event:
                case Accepted():
                    accepted = True
                case ConfirmationNeeded(question, text):
                    control.send(Answer(question, self._confirm(text)))
                case RestoreDone():
                    return event
                case Taken() | Ended() if not accepted:
                    return None
                case _:
                    self._show(event)
        pid = owner(self._paths.pidfile)
        if pid is not None and not answered:
            raise LocalizeError(f"the supervisor with pid {pid} does not answer", "`kubectl localize stop` ends it")
        raise LocalizeError(
            "the supervisor ended before everything was undone", "run `kubectl localize restore` once more"
        )

    def _show(self, event: Event) -> None:
        match event:
            case Step(text):
                self._console.done()
                self._console.line(text)
            case Progress(text) if self._console.live:
                self._console.progress(text)
            case Warn(text):
                self._console.warning(text)
            case Failed(message, hint):
                self.failures.append(LocalizeError(message, hint))
            case PlanReady(lines):
                sys.stdout.write("".join(f"{line}\n" for line in lines))

    def _confirm(self, text: str) -> bool:
        """Ask the user. Without a terminal the answer is no: nobody can have read the question."""
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return False
        self._console.done()
        self._console.line(text)
        sys.stderr.write("[y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _sweep_machine() -> list[RunPaths]:
    """Remove the files of supervisors that are gone. Returns which ones."""
    runs = Paths.from_env(os.environ).all_runs()
    return [paths for paths in runs if owner(paths.pidfile) is None and sweep(paths)]
