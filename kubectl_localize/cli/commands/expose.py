"""`kubectl localize expose`: sends a Service's traffic to a local process, until Ctrl-C or in the background (`-d`)."""

from __future__ import annotations

import os
import select

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.client import Control
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.cli.file_cache import FileCache
from kubectl_localize.cli.holder import FinishedError, Holder, Outcome, Question
from kubectl_localize.cli.job import Command, check
from kubectl_localize.cli.reach import connect, discard_new_state_dirs
from kubectl_localize.cli.release import wait_for_release
from kubectl_localize.cli.running import meant, service_key
from kubectl_localize.cli.streams import print_lines
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.ls_document import ExposureItem, LsDocument
from kubectl_localize.model import Connection, Pairs, PodOptions, ServiceKey
from kubectl_localize.protocol import (
    FAILSAFE_SECONDS,
    CommandWanted,
    Event,
    Exposed,
    ExposeRequest,
    ExposureOver,
    PlanReady,
    Restored,
    UnexposeRequest,
)

COMMAND_GRACE_SECONDS = 10.0


def run(args: Arguments) -> int:
    """Begin an exposure and hold it until Ctrl-C, or end one (`--stop`).

    Returns:
        The exit code, the local command's own if there is one.

    Raises:
        LocalizeError: it cannot be begun, and nothing has changed; or as `Holder.run_request`.
    """
    if args.program:
        check(args.program)
    if args.stop:
        ending = meant(args, args.words)
        return stop(args, ending.run, ending.services)
    cache = FileCache(Paths.from_env(os.environ).root)
    connection = resolve(args, cache)
    namespace = args.namespaces[-1] if args.namespaces else connection.namespace
    services = tuple(dict.fromkeys(service_key(name, namespace) for name in args.words))
    paths = run_paths(connection)
    expose = Expose(args, paths, services)
    with discard_new_state_dirs(paths, lambda: expose.nothing_happened):
        try:
            return expose.run_request(expose_request(args, connection, services))
        finally:
            if not expose.nothing_happened:
                cache.save()


def expose_request(args: Arguments, connection: Connection, services: tuple[ServiceKey, ...]) -> ExposeRequest:
    """What the flags ask of the supervisor."""
    return ExposeRequest(
        connection,
        services,
        maps=args.maps,
        keep=args.keep,
        share=args.share,
        force=args.force,
        dry_run=args.dry_run,
        take_over=args.take_over,
        failsafe_seconds=FAILSAFE_SECONDS if args.failsafe is None else args.failsafe,
        failsafe_service_account=args.failsafe_service_account,
        image=args.image,
        failsafe_image=args.failsafe_image,
        image_pull_secret=args.image_pull_secret,
        pod=PodOptions(*map(_joined, (args.labels, args.annotations, args.requests, args.limits))),
        command=bool(args.program),
        environment=args.env,
        environment_excluded=args.env_exclude,
        detach=args.detach,
    )


class Expose(Holder):
    """One run of the command.

    Args:
        args: the command line.
        paths: the files of the context's supervisor.
        services: what is exposed.
    """

    while_it = "began the exposure"
    first_text = "checking"
    ended_hint = "`kubectl localize restore` undoes what there is of it"
    outcomes = (Exposed, PlanReady)

    def __init__(self, args: Arguments, paths: RunPaths, services: tuple[ServiceKey, ...]) -> None:
        super().__init__(paths, terminal.Steps(terminal.stderr_console(args.no_color), timed=True))
        self._args = args
        self._names = {str(key) for key in services}
        self._workloads: tuple[str, ...] | None = None  # that are scaled down; None as long as it is not live
        self._command: Command | None = None

    def go_on(self, outcome: Outcome, control: Control) -> int:
        if isinstance(outcome, PlanReady):
            print_lines(outcome.lines)
            self.console.line("nothing was changed")
            return 0
        assert isinstance(outcome, Exposed)
        self._tell(outcome.document)
        if self._args.detach or self.hold(control):
            return 0
        raise LocalizeError(
            f"the supervisor is gone, and {', '.join(sorted(self._names))} is no longer served",
            "`kubectl localize restore` puts the workload back at once",
        )

    def answer(self, question: Question) -> bool:
        """Start the local command, with the variables of the container that it replaces."""
        if not isinstance(question, CommandWanted):
            return False
        self._command = Command(self._args.program, {**os.environ, **dict(question.variables)})
        self._command.start()
        self.steps.share_terminal(True)
        self.console.line(f"started {self._args.program[0]}")
        return True

    @property
    def process_group(self) -> int:
        return self._command.process_group if self._command is not None else 0

    def over(self, event: ExposureOver) -> None:
        ours = self._names & set(event.services)
        if ours and event.message:
            raise LocalizeError(event.message, event.hint)
        if event.ending:
            return  # all of them end; the supervisor says so when it is done
        self._names -= ours
        for name in sorted(ours):
            self.console.line(f"{name} is not exposed any more: another command has ended it")
        if not self._names:
            raise FinishedError(0)

    def next_event(self, control: Control) -> Event | None:
        command = self._command
        while command is not None and not control.waiting:
            code = command.poll()
            if code is not None:
                self.console.line(f"{self._args.program[0]} has ended with exit code {code}")
                raise FinishedError(code)
            sources: list[Control | Command] = [control, command]
            if control in select.select(sources, [], [])[0]:
                break
        return control.next()

    def release(self) -> None:
        try:
            self._end_command()
        except KeyboardInterrupt:
            if self._command is not None:
                self._command.end(0)
            self.leave_to_supervisor()
            raise
        super().release()

    def ending_text(self) -> str:
        if not self._names:
            return ""
        names = ", ".join(sorted(self._names))
        if self._workloads is None:
            what = f"putting everything back: some seconds, or, if {names} was scaled down, until its pods are Ready"
        elif self._workloads:
            pods = " and ".join(self._workloads)
            what = f"putting {names} back: until the pods of {pods} are Ready (3 minutes at most), and 6 s more"
        else:
            what = f"putting {names} back: about 6 s"
        return f"{what}; Ctrl-C again leaves the rest to the supervisor"

    def clean_up(self) -> None:
        super().clean_up()
        self._end_command()

    def _tell(self, document: LsDocument) -> None:
        self._workloads = ()
        for item in document.items:
            if not isinstance(item, ExposureItem) or f"{item.namespace}/{item.name}" not in self._names:
                continue  # forwards, and what other commands expose
            workloads = (*self._workloads, *(f"{workload.kind} {workload.name}" for workload in item.workloads))
            self._workloads = tuple(dict.fromkeys(workloads))
            ports = ", ".join(f"{port.port} -> {port.local}" for port in item.ports)
            service = f"{item.namespace}/{item.name}"
            end = f"`kubectl localize expose --stop {service}` ends it" if self._args.detach else "Ctrl-C ends it"
            self.console.line(f"Exposed {service}: {ports}; {end}")

    def _end_command(self) -> None:
        if self._command is not None:
            self._command.end(COMMAND_GRACE_SECONDS)
            self.steps.share_terminal(False)


def stop(args: Arguments, paths: RunPaths, services: tuple[ServiceKey, ...]) -> int:
    """End exposures that run, and wait until the workloads are back; the exit code.

    Raises:
        LocalizeError: one of them does not run, or as `wait_for_release`.
    """
    connection = connect(paths)
    if connection is None:
        raise LocalizeError(
            f"{services[0]} is not exposed from here: nothing runs for this context",
            "`kubectl localize restore` undoes what a crashed run left",
        )
    steps = terminal.Steps(terminal.stderr_console(args.no_color), timed=True)
    control = Control(connection)
    control.send(UnexposeRequest(services))
    try:
        wait_for_release(control, paths, steps, until=Restored)
    finally:
        steps.quiet()
        control.close()
    return 0


def _joined(values: tuple[Pairs, ...]) -> Pairs:
    """The pairs of a flag that was given several times; the last value of a key counts."""
    return tuple(dict(pair for pairs in values for pair in pairs).items())
