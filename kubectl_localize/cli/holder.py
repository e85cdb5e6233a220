"""The base of commands that ask a supervisor for something, answer its questions, and hold it until Ctrl-C."""

from __future__ import annotations

import signal
import socket
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

from kubectl_localize.cli.client import ANSWER_SECONDS, Control
from kubectl_localize.cli.reach import another, connect, no_answer, spawn, wait_ended
from kubectl_localize.cli.release import wait_for_release
from kubectl_localize.cli.terminal import Steps
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.files import read_text
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import owner
from kubectl_localize.model import Connection
from kubectl_localize.protocol import (
    Accepted,
    Answer,
    Back,
    Change,
    CommandWanted,
    ConfirmationNeeded,
    Ended,
    Event,
    Exposed,
    ExposeRequest,
    ExposureOver,
    Failed,
    LoginNeeded,
    Missed,
    PlanReady,
    PrivilegesNeeded,
    Progress,
    Ready,
    Released,
    ReleaseRequest,
    RestoreDone,
    RestoreRequest,
    StartRequest,
    Step,
    Taken,
    Warn,
)

CTRL_C = 130
Question = PrivilegesNeeded | CommandWanted | ConfirmationNeeded
Outcome = Ready | Exposed | PlanReady | RestoreDone


class FinishedError(Exception):
    """What the supervisor is held for is over by itself.

    Args:
        exit_code: the command's own.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


class Holder(ABC):
    """One run of a command that holds a supervisor; each command is a subclass.

    On Ctrl-C, TERM and HUP (unless ignored, as under nohup) it lets go and waits until everything is back.

    Args:
        paths: the files of the context's supervisor.
        steps: shows what it waits for.
    """

    while_it: ClassVar[str]  # what the supervisor does until the outcome, for errors: "started"
    ended_hint: ClassVar[str]  # what to do if the supervisor ends meanwhile; {log}: the last line of its log
    first_text: ClassVar[str] = ""  # what is shown until the supervisor has something to say
    release_text: ClassVar[str] = ""  # the same, while it lets go
    outcomes: ClassVar[tuple[type[Outcome], ...]]

    def __init__(self, paths: RunPaths, steps: Steps) -> None:
        self.paths = paths
        self.steps = steps
        self.console = steps.console
        self.nothing_happened = True  # nor is there a log worth keeping
        self._control: Control | None = None

    def run_request(
        self, request: StartRequest | ExposeRequest | RestoreRequest, connection: socket.socket | None = None
    ) -> int:
        """Send the request to the running supervisor or a new one, and carry it through to the end.

        Args:
            connection: to the supervisor, if it has been reached already.

        Returns:
            The exit code.

        Raises:
            LocalizeError: the supervisor refuses, breaks off, or cannot put everything back.
        """
        if request.connection.asks:
            from kubectl_localize.cli.login import logged_in  # with YAML, and seldom needed

            request = replace(request, connection=logged_in(request.connection, self.paths, self.console))
        self._control = Control(connection or connect(self.paths) or spawn(self.paths))
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _as_ctrl_c)
        live = False
        try:
            while (outcome := self._ask(self._control, request)) is None:
                self._control.close()
                self._control = Control(another(self.paths))
            live = True
            return self.go_on(outcome, self._control)
        except FinishedError as finished:
            self.release()
            return finished.exit_code
        except KeyboardInterrupt:
            if live and self.console.live:
                self.console.line("")  # the terminal has shown ^C, and stands right behind it
            self.release()
            return 0 if live else CTRL_C
        finally:
            self.clean_up()

    # -- what each command does in its own way ------------------------------------------------------------------------
    @abstractmethod
    def go_on(self, outcome: Outcome, control: Control) -> int:
        """Show the outcome, and hold the supervisor if the command has to. Returns the exit code."""

    def answer(self, question: Question) -> bool:
        """Do what the supervisor asks for; whether it could be done."""
        return False

    @property
    def process_group(self) -> int:
        """Of the local command that was started; 0 if none was."""
        return 0

    def hint(self, failure: Failed) -> str:
        """The hint of a refusal."""
        return failure.hint

    def ending_text(self) -> str:
        """What happens from now on, and how long it may take, for who has pressed Ctrl-C; empty: nothing is said."""
        return ""

    @abstractmethod
    def over(self, event: ExposureOver) -> None:
        """An exposure, of this command or another, has ended."""

    def next_event(self, control: Control) -> Event | None:
        """The supervisor's next event; None if there are no more.

        Raises:
            FinishedError: what is held is over by itself.
        """
        return control.next()

    # -- the way up ---------------------------------------------------------------------------------------------------
    def _ask(self, control: Control, request: StartRequest | ExposeRequest | RestoreRequest) -> Outcome | None:
        """The outcome of the request; None if another supervisor has to be asked.

        Another one has to be asked if this one is just ending, or if two commands started one at the same moment.
        Once a supervisor has accepted the request, no other one is asked: what is stopped then is not begun again.
        """
        control.patient(ANSWER_SECONDS)
        control.send(request)
        self.steps.doing(self.first_text)
        answered = accepted = False
        while (event := self.next_event(control)) is not None:
            if not answered:
                control.patient(None)
                answered = True
            match event:
                case Accepted():
                    accepted = True
                case LoginNeeded():
                    self.steps.quiet()
                    control.send(Answer(event.question, self._log_in(request.connection)))
                case PrivilegesNeeded() | CommandWanted() | ConfirmationNeeded():
                    self.steps.quiet()
                    granted = self.answer(event)
                    control.send(Answer(event.question, granted, self.process_group))
                case Failed() if accepted:
                    self.refused(event, control)
                case Failed():
                    self._give_up(event, control)
                case Ended() if accepted:
                    self.steps.quiet()
                    wait_ended(self.paths)
                    raise LocalizeError(f"the supervisor was stopped while it {self.while_it}")
                case Taken() | Ended():
                    return None
                case Ready() | Exposed() | PlanReady() | RestoreDone() if isinstance(event, self.outcomes):
                    self.steps.quiet()
                    self.nothing_happened = False
                    return event
                case _:
                    self.hear(event)
        raise self._broken_off(answered)

    def _log_in(self, connection: Connection) -> bool:
        """Have the credential plugin ask in this terminal. Returns whether it may have got new credentials."""
        from kubectl_localize.cli.login import run_kubectl  # seldom needed

        return run_kubectl(connection, self.console)

    def refused(self, failure: Failed, control: Control) -> None:
        """Let go, as the request failed after the supervisor had accepted it.

        Raises:
            LocalizeError: the error that the supervisor sent.
        """
        self._give_up(failure, control)

    def _give_up(self, failure: Failed, control: Control) -> None:
        self.steps.quiet()
        try:
            self._let_go(control)
        except LocalizeError:  # what went wrong first is what there is to say
            self.nothing_happened = False  # but the log has the rest
        raise LocalizeError(failure.message, self.hint(failure))

    def _broken_off(self, answered: bool) -> LocalizeError:
        self.steps.quiet()
        self.nothing_happened = False
        pid = owner(self.paths.pidfile)
        if pid is not None and not answered:
            return no_answer(pid)
        hint = _hint_with_log(self.ended_hint, self.paths)
        return LocalizeError(f"the supervisor ended while it {self.while_it}", hint)

    # -- while it holds -----------------------------------------------------------------------------------------------
    def hold(self, control: Control) -> bool:
        """Show what happens until the supervisor ends.

        Returns:
            False if it has crashed or was killed.
        """
        while (event := self.next_event(control)) is not None:
            self.hear(event)
            if isinstance(event, Ended):
                return True
        return False

    def hear(self, event: Event) -> None:
        """Show an event.

        Raises:
            LocalizeError: it says that something failed.
        """
        match event:
            case Step(text):
                self.steps.done(text)
            case Missed(text):
                self.steps.missed(text)
            case Back(text):
                self.console.line(text)
            case Progress(text):
                self.steps.doing(text)
            case Change(text):
                self.console.line(text)
            case Warn(text):
                self.console.warning(text)
            case Failed(message, hint):
                raise LocalizeError(message, hint)
            case ExposureOver():
                self.over(event)
            case Ended():
                wait_ended(self.paths)
                self.console.line("the supervisor was stopped")

    # -- the way back -------------------------------------------------------------------------------------------------
    def release(self) -> None:
        """Let go, and wait until everything is back that nobody else holds.

        Raises:
            LocalizeError: as `wait_for_release`.
        """
        if self._control is None or not self._control.is_open:  # turned away from, and nothing there is ours
            return
        self.nothing_happened = False
        if text := self.ending_text():
            self.console.line(text)
        self.steps.restart()
        self.steps.doing(self.release_text)
        try:
            self._let_go(self._control)
        except KeyboardInterrupt:
            self.leave_to_supervisor()
            raise
        finally:
            self.steps.quiet()

    def leave_to_supervisor(self) -> None:
        """Say that the rest is done without us, after a second Ctrl-C."""
        self.console.warning(
            "everything is still being put back; `kubectl localize ls` shows how far the supervisor is"
        )

    def clean_up(self) -> None:
        """Leave the terminal and the connection, however the run ended."""
        self.steps.quiet()
        if self._control is not None:
            self._control.close()

    def _let_go(self, control: Control) -> None:
        control.send(ReleaseRequest())
        wait_for_release(control, self.paths, self.steps, until=Released)


def _as_ctrl_c(*_: object) -> None:
    raise KeyboardInterrupt


def _hint_with_log(hint: str, paths: RunPaths) -> str:
    """A hint in which the last line of the supervisor's log, which says why it ended, stands for `{log}`."""
    try:
        lines = read_text(paths.log, errors="replace").strip().splitlines()
    except OSError:
        lines = ["it has no log"]
    return hint.replace("{log}", lines[-1] if lines else "it says nothing")
