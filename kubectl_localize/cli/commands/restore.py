"""`kubectl localize restore`: has a supervisor undo what crashed runs of this user left, and shows what it does."""

from __future__ import annotations

import os
import sys

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.client import Control
from kubectl_localize.cli.commands.stop import sweep
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.cli.elsewhere import left_elsewhere
from kubectl_localize.cli.holder import Holder, Outcome, Question
from kubectl_localize.cli.reach import discard_new_state_dirs, wait_ended
from kubectl_localize.cli.streams import print_lines
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.host.process import owner
from kubectl_localize.protocol import (
    ConfirmationNeeded,
    Event,
    ExposureOver,
    Failed,
    PlanReady,
    RestoreDone,
    RestoreRequest,
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
    restore = Restore(paths, console)
    with discard_new_state_dirs(paths, lambda: restore.nothing_happened):
        code = restore.run_request(RestoreRequest(connection, args.namespaces, args.dry_run, args.yes))
    restore.failures += left_elsewhere(args, paths)
    code = code or (1 if restore.failures else 0)
    for failure in restore.failures:
        terminal.error(failure.message, failure.hint, no_color=args.no_color)
    if restore.done is not None and not (restore.done.had_leftovers or swept or restore.failures):
        console.line("there is nothing to undo")
    elif args.dry_run:
        console.line("nothing was changed")
    return code


class Restore(Holder):
    """One run of the command, with the supervisor that runs at `paths`, or a new one, which ends afterwards.

    Attributes:
        failures: what could not be undone or looked for.
        done: what came of it; None before the end.
    """

    while_it = "undid what was left"
    ended_hint = "run `kubectl localize restore` once more"
    outcomes = (RestoreDone,)

    def __init__(self, paths: RunPaths, console: terminal.Console) -> None:
        super().__init__(paths, terminal.Steps(console))
        self.failures: list[LocalizeError] = []
        self.done: RestoreDone | None = None

    def go_on(self, outcome: Outcome, control: Control) -> int:
        assert isinstance(outcome, RestoreDone)
        self.done = outcome
        control.close()  # a supervisor that was started for this holds on to nobody else
        if outcome.ending:
            wait_ended(self.paths)
        return 1 if self.failures else 0

    def answer(self, question: Question) -> bool:
        return isinstance(question, ConfirmationNeeded) and self._confirm(question.text)

    def hear(self, event: Event) -> None:
        if isinstance(event, PlanReady):
            print_lines(event.lines)
        else:
            super().hear(event)

    def refused(self, failure: Failed, control: Control) -> None:
        """One thing could not be undone; the supervisor goes on with the others."""
        self.failures.append(LocalizeError(failure.message, failure.hint))

    def over(self, event: ExposureOver) -> None:
        """Exposures that others hold are none of this command's business."""

    def _confirm(self, text: str) -> bool:
        """Ask the user. Without a terminal the answer is no: nobody can have read the question."""
        if not terminal.can_ask():
            return False
        self.console.done()
        self.console.line(text)
        sys.stderr.write("[y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


def _sweep_machine() -> list[RunPaths]:
    """Remove the files of supervisors that are gone. Returns which ones."""
    runs = Paths.from_env(os.environ).all_runs()
    return [paths for paths in runs if owner(paths.pidfile) is None and sweep(paths)]
