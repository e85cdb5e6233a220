"""`kubectl localize expose`: a Service's traffic to a local process, until Ctrl-C, or with a supervisor that stays."""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.connection import resolve, run_paths
from kubectl_localize.cli.control.client import ANSWER_SECONDS, Control, another, connect, spawn, wait_ended
from kubectl_localize.cli.control.farewell import wait_for_release
from kubectl_localize.cli.discard import discard_new_state_dirs
from kubectl_localize.cli.job import Command, check
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths, make_private
from kubectl_localize.host.process import owner
from kubectl_localize.ls_document import ExposureItem, LsDocument
from kubectl_localize.model import Connection, ServiceKey
from kubectl_localize.protocol import (
    FAILSAFE_SECONDS,
    Accepted,
    Answer,
    Change,
    CommandWanted,
    Ended,
    Event,
    Exposed,
    ExposeRequest,
    ExposureOver,
    Failed,
    PlanReady,
    Progress,
    Released,
    ReleaseRequest,
    Restored,
    Step,
    Taken,
    UnexposeRequest,
    Warn,
)

COMMAND_GRACE_SECONDS = 10.0
CTRL_C = 130


def run(args: Arguments) -> int:
    """Begin an exposure and hold it until Ctrl-C, or end one (`--stop`).

    Returns: the exit code, the command's own where there is one.
    Raises: LocalizeError where it cannot be begun; nothing has changed then.
    """
    if args.program:
        check(args.program)
    connection = resolve(args)
    namespace = args.namespaces[-1] if args.namespaces else connection.namespace
    keys = tuple(dict.fromkeys(_key(name, namespace) for name in args.words))
    paths = run_paths(connection)
    if args.stop:
        return stop(args, paths, keys)
    with discard_new_state_dirs(paths, lambda: not paths.exposures.exists()):
        make_private(paths.directory.parent)
        make_private(paths.directory)
        return Expose(args, connection, paths, keys).run()


class Expose:
    """One run of the command, with the supervisor that runs at `paths`, or a new one."""

    def __init__(self, args: Arguments, connection: Connection, paths: RunPaths, keys: tuple[ServiceKey, ...]) -> None:
        self._args = args
        self._paths = paths
        self._steps = _Steps(terminal.stderr_console(args.no_color))
        self._console = self._steps.console
        self._command: Command | None = None
        self._names = {str(key) for key in keys}
        self._request = ExposeRequest(
            connection,
            services=keys,
            command=bool(args.program),
            failsafe_seconds=FAILSAFE_SECONDS if args.failsafe is None else args.failsafe,
            detach=args.detach,
            **{
                name: getattr(args, name)
                for name in (
                    "maps", "keep", "force", "dry_run", "failsafe_service_account", "image", "failsafe_image",
                    "image_pull_secret",
                )
            },
        )  # fmt: skip

    def run(self) -> int:
        """As the module's `run`."""
        control = connect(self._paths) or spawn(self._paths)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, _as_ctrl_c)
        live = False
        try:
            answer = self._begin(control)
            while answer is None:
                control.close()
                control = another(self._paths)
                answer = self._begin(control)
            if isinstance(answer, PlanReady):
                for line in answer.lines:
                    sys.stdout.write(f"{line}\n")
                return 0
            live = True
            self._tell(answer.document)
            return 0 if self._args.detach else self._hold(control)
        except _CommandEndedError as ended:
            self._console.line(f"{self._args.program[0]} has ended with exit code {ended.code}")
            self._release(control)
            return ended.code
        except KeyboardInterrupt:
            self._release(control)
            return 0 if live else CTRL_C
        finally:
            self._steps.quiet()
            self._end_command()
            control.close()

    def _begin(self, control: Control) -> Exposed | PlanReady | None:
        """The last event of the way up; None where another supervisor has to be asked.

        That is so only before one has accepted it: what is stopped afterwards is not begun anew.
        """
        control.patient(ANSWER_SECONDS)
        control.send(self._request)
        self._steps.doing("checking")
        answered = accepted = False
        while (event := self._next(control)) is not None:
            if not answered:
                control.patient(None)
                answered = True
            match event:
                case Step() | Progress() | Warn() | Failed() | ExposureOver():
                    self._hear(event)
                case CommandWanted():
                    self._steps.quiet()
                    self._start_command(dict(event.variables))
                    control.send(Answer(event.question))
                case Accepted():
                    accepted = True
                case Ended() if accepted:
                    wait_ended(self._paths)
                    raise LocalizeError("the supervisor was stopped while it began the exposure")
                case Taken() | Ended():
                    return None
                case Exposed() | PlanReady():
                    self._steps.quiet()
                    return event
        pid = owner(self._paths.pidfile)
        if pid is not None and not answered:
            raise LocalizeError(f"the supervisor with pid {pid} does not answer", "`kubectl localize stop` ends it")
        raise LocalizeError(
            "the supervisor ended while it began the exposure", "`kubectl localize restore` undoes what there is of it"
        )

    def _start_command(self, variables: dict[str, str]) -> None:
        self._command = Command(self._args.program, {**os.environ, **variables})
        self._command.start()
        self._console.line(f"started {self._args.program[0]}")

    def _tell(self, document: LsDocument) -> None:
        for item in document.items:
            if not isinstance(item, ExposureItem) or f"{item.namespace}/{item.name}" not in self._names:
                continue  # forwards, and what other commands expose
            ports = ", ".join(f"{port.port} -> {port.local}" for port in item.ports)
            end = "`kubectl localize expose --stop` ends it" if self._args.detach else "Ctrl-C ends it"
            self._console.line(f"Exposed {item.namespace}/{item.name}: {ports}; {end}")

    def _hold(self, control: Control) -> int:
        """Show what happens until the command ends or all of its exposures have."""
        while self._names and (event := self._next(control)) is not None:
            self._hear(event)
            if isinstance(event, Ended):
                return 0
        if not self._names:
            self._end_command()
            self._release(control)
            return 0
        raise LocalizeError(
            f"the supervisor is gone, and nobody serves {', '.join(sorted(self._names))} now",
            "`kubectl localize restore` puts the workload back at once",
        )

    def _next(self, control: Control) -> Event | None:
        """The supervisor's next event; None at the end of them.

        Raises: _CommandEndedError where the command ends first.
        """
        command = self._command
        while command is not None and not control.waiting:
            code = command.poll()
            if code is not None:
                raise _CommandEndedError(code)
            wanted: list[Control | Command] = [control, command]
            if control in select.select(wanted, [], [])[0]:
                break
        return control.next()

    def _hear(self, event: Event) -> None:
        match event:
            case Step(text):
                self._steps.done(text)
            case Progress(text):
                self._steps.doing(text, alone=self._command is None)
            case Change(text):
                self._console.line(text)
            case Warn(text):
                self._console.warning(text)
            case Failed(message, hint):
                raise LocalizeError(message, hint)
            case ExposureOver():
                self._hear_over(event)
            case Ended():
                wait_ended(self._paths)
                self._console.line("the supervisor was stopped")

    def _hear_over(self, event: ExposureOver) -> None:
        """An exposure has ended, perhaps one of ours: by itself, or because another command has ended it."""
        ours = self._names & set(event.services)
        if ours and event.message:
            raise LocalizeError(event.message, event.hint)
        if event.ending:
            return  # all of them end; the supervisor says so when it is done
        self._names -= ours
        for name in sorted(ours):
            self._console.line(f"{name} is not exposed any more: another command has ended it")

    def _end_command(self) -> None:
        if self._command is not None:
            self._command.end(COMMAND_GRACE_SECONDS)

    def _release(self, control: Control) -> None:
        """Let go, and wait until everything is back; who does not want to wait is told that it goes on."""
        if not control.is_open:  # turned away from, and nothing there is ours
            return
        self._steps.restart()
        control.send(ReleaseRequest())
        steps = self._steps
        warn = steps.console.warning
        try:
            wait_for_release(control, self._paths, until=Released, step=steps.done, warn=warn, doing=steps.doing)
        except KeyboardInterrupt:
            warn("everything is still being put back; `kubectl localize ls` shows how far it is")
            raise
        finally:
            steps.quiet()


class _CommandEndedError(Exception):
    """The command has ended by itself, or by a Ctrl-C that went to it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Steps:
    """Shows each step with the time it took, `✓ exposure pod Ready (0.9 s)`; on a terminal also what is waited for."""

    def __init__(self, console: terminal.Console) -> None:
        self.console = console
        self._began = time.monotonic()
        self._doing = ""

    def restart(self) -> None:
        """The next step begins now."""
        self.quiet()
        self._began = time.monotonic()

    def doing(self, text: str, *, alone: bool = True) -> None:
        """What is waited for from now on; nothing where there is no terminal.

        Args:
            alone: nobody else writes to the terminal, so the line can be taken away again. A command may write at any
                moment, and has lines of its own.
        """
        if text == self._doing or not self.console.live:
            return
        self._doing = text
        if alone:
            self.console.progress(text)
        else:
            self.console.line(text)

    def quiet(self) -> None:
        """Nothing is waited for."""
        self._doing = ""
        self.console.done()

    def done(self, text: str) -> None:
        """A step is done."""
        self.quiet()
        now = time.monotonic()
        self.console.line(f"✓ {text} ({now - self._began:.1f} s)")
        self._began = now


def stop(args: Arguments, paths: RunPaths, keys: tuple[ServiceKey, ...]) -> int:
    """End exposures that run, and wait until the workloads are back; the exit code.

    Raises: LocalizeError where one of them does not run, or as `hear_out` does.
    """
    control = connect(paths)
    if control is None:
        raise LocalizeError(
            f"{keys[0]} is not exposed from here: nothing runs for this context",
            "`kubectl localize restore` undoes what a crashed run left",
        )
    steps = _Steps(terminal.stderr_console(args.no_color))
    control.send(UnexposeRequest(keys))
    try:
        wait_for_release(control, paths, until=Restored, step=steps.done, warn=steps.console.warning, doing=steps.doing)
    finally:
        steps.quiet()
        control.close()
    return 0


def _key(name: str, namespace: str) -> ServiceKey:
    place, slash, rest = name.partition("/")
    return ServiceKey(place, rest) if slash else ServiceKey(namespace, name)


def _as_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt
