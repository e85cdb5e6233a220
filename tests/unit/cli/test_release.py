"""What a command makes of a supervisor's last words, and of their absence."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.client import Control
from kubectl_localize.cli.commands import expose
from kubectl_localize.cli.commands.stop import stop
from kubectl_localize.cli.reach import connect
from kubectl_localize.cli.release import wait_for_release
from kubectl_localize.cli.terminal import Console, Steps
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import Pidfile
from kubectl_localize.model import ServiceKey
from kubectl_localize.protocol import Released, ReleaseRequest, Restored
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from tests.unit.cli.scripted import GONE, Event, scripted

STEP: Event = {"event": "step", "text": "Deployment/cart scaled up"}
ENDED: Event = {"event": "ended"}
RESTORED: Event = {"event": "restored", "ending": False}
FAILED: Event = {"event": "error", "message": "shop/cart could not be brought back", "hint": "try again"}
KEYS = (ServiceKey("shop", "cart"),)


def _connected(run: RunPaths) -> Control:
    connection = connect(run)
    assert connection is not None
    return Control(connection)


def _stop(run: RunPaths) -> str:
    out = io.StringIO()
    assert stop(run, Console(out))
    return out.getvalue()


def _stop_exposure(run: RunPaths) -> str:
    assert expose.stop(Arguments(), run, KEYS) == 0
    return ""


def _release(run: RunPaths) -> str:
    out = io.StringIO()
    with contextlib.closing(_connected(run)) as control:
        control.send(ReleaseRequest())
        wait_for_release(control, run, Steps(Console(out)), until=Released)
    return out.getvalue()


def _left(run: RunPaths) -> None:
    """An exposure in the record that nobody has ended."""
    run.directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(SessionLedger(run.exposures, run.exposures_lock).add("abc12", "shop"))


ENDINGS = pytest.mark.parametrize(("op", "end"), [("stop", _stop), ("unexpose", _stop_exposure), ("release", _release)])


@ENDINGS
@pytest.mark.parametrize("said", [[STEP, GONE], [GONE]])
def test_a_supervisor_that_dies_on_the_way_back_is_no_success(
    op: str, end: Callable[[RunPaths], str], said: list[Event], tmp_path: Path
) -> None:
    run = RunPaths(tmp_path / "k")
    _left(run)
    with scripted(run, {op: said}), pytest.raises(LocalizeError, match="gone before everything was back") as caught:
        end(run)
    assert "kubectl localize restore" in caught.value.hint


@ENDINGS
def test_the_end_of_the_supervisor_is_the_end_of_what_was_asked_for(
    op: str, end: Callable[[RunPaths], str], tmp_path: Path
) -> None:
    run = RunPaths(tmp_path / "k")
    with scripted(run, {op: [STEP, ENDED]}) as supervisor:
        end(run)
    assert supervisor.asked == [op]


@ENDINGS
def test_what_could_not_be_brought_back_is_said_in_the_end(
    op: str, end: Callable[[RunPaths], str], tmp_path: Path
) -> None:
    run = RunPaths(tmp_path / "k")
    _left(run)
    with scripted(run, {op: [FAILED, ENDED]}), pytest.raises(LocalizeError, match="could not be brought back"):
        end(run)


def test_a_supervisor_that_was_ending_already_and_hears_nobody_is_waited_for(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    with scripted(run, {"stop": [GONE]}):
        assert _stop(run) == ""


def test_what_is_left_all_the_same_is_said(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    _left(run)
    with scripted(run, {"stop": [ENDED], "release": [{"event": "released", "ending": True}, ENDED]}, {"stop": [ENDED]}):
        assert "restore" in _release(run)
        assert "warning: a crashed run left an exposure; `kubectl localize restore` undoes it\n" in _stop(run)


def test_one_that_ends_is_heard_until_everything_is_back(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    ending: Event = {"event": "released", "ending": True}
    for last in (ENDED, GONE):
        with scripted(run, {"release": [ending, STEP, last]}):
            assert _release(run) == f"{STEP['text']}\n"
        run.control.unlink()


def test_a_supervisor_that_stays_keeps_its_other_exposures_in_the_record(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    _left(run)
    with scripted(run, {"release": [STEP, {"event": "released", "ending": False}]}):
        assert _release(run) == f"{STEP['text']}\n"
    with scripted(RunPaths(tmp_path / "other"), {"unexpose": [STEP, RESTORED]}):
        assert _stop_exposure(RunPaths(tmp_path / "other")) == ""


def test_a_supervisor_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    with scripted(run, {}), contextlib.closing(_connected(run)) as control:
        held = Pidfile.acquire(run.pidfile)
        assert held is not None
        steps = Steps(Console(io.StringIO()))
        with pytest.raises(LocalizeError, match=rf"pid {os.getpid()} does not answer") as caught:
            wait_for_release(control, run, steps, until=Released, answer_seconds=0.05)
        held.release()
    assert f"kill -CONT {os.getpid()}" in caught.value.hint


def test_what_is_waited_for_goes_where_it_is_wanted(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    waiting = {"event": "progress", "text": "the exposure pod is ending"}
    out = io.StringIO()
    with scripted(run, {"release": [waiting, STEP, RESTORED]}, {"stop": [waiting, STEP, ENDED]}):
        with contextlib.closing(_connected(run)) as control:
            control.send(ReleaseRequest())
            wait_for_release(control, run, Steps(Console(out), plain=True), until=Restored)
        assert out.getvalue().splitlines() == [waiting["text"], STEP["text"]]
        assert _stop(run) == f"{STEP['text']}\n", "without a terminal there are steps only"
