"""`restore`: what it sends, shows and asks, and how it ends; what is undone is the supervisor's work."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kubectl_localize.cli.commands.restore import Restore
from kubectl_localize.cli.terminal import Console
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.protocol import RestoreRequest
from tests.unit.cli.scripted import GONE, Event, Scripted, scripted
from tests.unit.cluster.samples import CONNECTION

ACCEPTED: Event = {"event": "accepted"}
DONE: Event = {"event": "recovered", "hadLeftovers": True}
QUESTION: Event = {"event": "confirm", "question": 1, "text": "shop/cart: no record of it. Undo it?"}


class Run:
    """A command whose supervisor says what a test has it say.

    Attributes:
        supervisor: what it was asked, and what was answered.
        said: what the command wrote for people.
    """

    def __init__(self, paths: RunPaths, supervisor: Scripted) -> None:
        self.supervisor = supervisor
        self.said = io.StringIO()
        self.restore = Restore(paths, Console(self.said))

    def __call__(self) -> int:
        """Run it; the exit code."""
        return self.restore.run_request(RestoreRequest(CONNECTION))


@contextlib.contextmanager
def run(directory: Path, *scripts: Sequence[Event], answered: Sequence[Event] = ()) -> Iterator[Run]:
    """One script for each supervisor that is asked; `answered` follows the answer to a question."""
    paths = RunPaths(directory)
    with scripted(paths, *({"restore": events, "answer": answered} for events in scripts)) as supervisor:
        yield Run(paths, supervisor)


def test_it_shows_steps_and_collects_failures(tmp_path: Path) -> None:
    step: Event = {"event": "step", "text": "undoing the exposure of shop/cart"}
    failure: Event = {"event": "error", "message": "Deployment shop/web could not be brought back", "hint": "later"}
    with run(tmp_path, [ACCEPTED, step, failure, DONE]) as command:
        assert command() == 1
        assert command.restore.done is not None
        assert command.restore.done.had_leftovers
        assert command.said.getvalue() == "undoing the exposure of shop/cart\n"
        assert [(error.message, error.hint) for error in command.restore.failures] == [
            ("Deployment shop/web could not be brought back", "later")
        ]


def test_a_supervisor_that_cannot_begin_says_why(tmp_path: Path) -> None:
    failure: Event = {"event": "error", "message": "the supervisor cannot write to there", "hint": "make room"}
    with run(tmp_path, [failure, GONE]) as command, pytest.raises(LocalizeError, match="cannot write") as caught:
        command()
    assert caught.value.hint == "make room"


def test_a_plan_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan: Event = {"event": "plan", "lines": ["would undo the exposure of shop/cart"]}
    with run(tmp_path, [ACCEPTED, plan, DONE]) as command:
        command()
    assert capsys.readouterr().out == "would undo the exposure of shop/cart\n"


def test_another_supervisor_is_asked_if_this_one_is_ending(tmp_path: Path) -> None:
    with run(tmp_path, [{"event": "taken"}], [ACCEPTED, DONE]) as command:
        command()
        assert command.supervisor.asked == ["restore", "restore"]


def test_a_supervisor_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with (
        run(tmp_path, [ACCEPTED, GONE]) as command,
        pytest.raises(LocalizeError, match="ended while it undid what was left"),
    ):
        command()


class Terminal(io.StringIO):
    """A terminal on which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "granted"), [("y\n", True), ("yes\n", True), ("\n", False), ("no\n", False)])
def test_the_user_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, granted: bool) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", Terminal())
    with run(tmp_path, [ACCEPTED, QUESTION], answered=[DONE]) as command:
        command()
        assert command.said.getvalue() == "shop/cart: no record of it. Undo it?\n"
        assert command.supervisor.answers == [granted]


def test_without_a_terminal_the_answer_is_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with run(tmp_path, [ACCEPTED, QUESTION], answered=[DONE]) as command:
        command()
        assert command.supervisor.answers == [False]
