"""Waits until a supervisor has ended what it was asked to end, and everything is as it was before."""

from __future__ import annotations

import os
from enum import Enum

from kubectl_localize.cli.client import ANSWER_SECONDS, Control
from kubectl_localize.cli.reach import no_answer, wait_ended
from kubectl_localize.cli.terminal import Console, Steps
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import owner
from kubectl_localize.protocol import (
    Back,
    Ended,
    Failed,
    Missed,
    Postponed,
    Progress,
    Released,
    Restored,
    Step,
    Stopped,
    Taken,
)


class _Last(Enum):
    """What a supervisor said last."""

    NOTHING = "nothing"
    SOMETHING = "something else"
    TAKEN = "that it never was the one to do anything here"
    STAYS = "that it has done what it was asked for, and goes on"
    ENDS = "that it ends, or has ended"


def wait_for_release(
    control: Control,
    run: RunPaths,
    steps: Steps,
    *,
    until: type[Released | Restored | Stopped | Ended],
    answer_seconds: float = ANSWER_SECONDS,
) -> bool:
    """Wait until the supervisor says that what it was asked to end has ended.

    Silence and a broken connection are failures: nobody knows then how far it came.

    Args:
        control: the connection that the request went over.
        run: the supervisor's files.
        steps: shows the way back, and what is left all the same.
        until: the event that says that it is over; Ended says it of everything.
        answer_seconds: how long to wait for the first event of any kind.

    Returns:
        Whether the supervisor ends, too; it has ended then.

    Raises:
        LocalizeError: something could not be brought back; or the supervisor does not answer, does not end, or is gone
            before it has said that all is back.
    """
    last, failure = _listen(control, steps, until, answer_seconds)
    if last is _Last.TAKEN:
        return False
    if last is _Last.ENDS:
        return _ended(run, failure, steps.console)
    if failure is not None:
        raise failure
    if last is _Last.STAYS:
        return False
    if last is _Last.NOTHING and control.closed and wait_ended(run) and not os.path.exists(run.exposures):
        return True  # it was ending already, and heard nobody any more
    raise _unsaid(run)


def _listen(
    control: Control, steps: Steps, until: type[Released | Restored | Stopped | Ended], answer_seconds: float
) -> tuple[_Last, LocalizeError | None]:
    """What a supervisor said last, and the first thing that it could not bring back; see `wait_for_release`."""
    last, failure = _Last.NOTHING, None
    control.patient(answer_seconds)  # it says `accepted` at once, and then takes the time that it takes
    for event in control.events():
        control.patient(None)
        last = _Last.SOMETHING if last is _Last.NOTHING else last
        match event:
            case Step(text):
                steps.done(text)
            case Missed(text):
                steps.missed(text)
            case Back(text):
                steps.console.line(text)
            case Progress(text):
                steps.doing(text)
            case Failed(message, hint):
                failure = failure or LocalizeError(message, hint)
            case Taken():
                return _Last.TAKEN, None
            case Ended():
                return _Last.ENDS, failure
            case Postponed():
                return _Last.STAYS, failure
            case Released() | Restored() | Stopped() if isinstance(event, until):
                if not event.ending:
                    return _Last.STAYS, failure
                last = _Last.ENDS  # but what others began may take its time yet
    return last, failure


def warn_of_leftovers(run: RunPaths, console: Console) -> None:
    """Warn if no supervisor runs there, and the session ledger has exposures that were begun and not ended."""
    if owner(run.pidfile) is None and os.path.exists(run.exposures):
        console.warning("a crashed run left an exposure; `kubectl localize restore` undoes it")


def _ended(run: RunPaths, failure: LocalizeError | None, console: Console) -> bool:
    if not wait_ended(run):
        raise LocalizeError(f"the supervisor in {run.directory} does not end", "see `kubectl localize logs`")
    if failure is not None:
        raise failure
    warn_of_leftovers(run, console)
    return True


def _unsaid(run: RunPaths) -> LocalizeError:
    pid = owner(run.pidfile)
    if pid is not None:
        return no_answer(pid)
    return LocalizeError(
        "the supervisor is gone before everything was back", "`kubectl localize restore` undoes what is left"
    )
