"""A supervisor's last words to a command that ends something: what is back, what is not, whether it is gone, too."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from kubectl_localize.cli.control.client import ANSWER_SECONDS, Control, wait_ended
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import owner
from kubectl_localize.protocol import Ended, Failed, Progress, Released, Restored, Step, Taken


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
    *,
    until: type[Released | Restored | Ended],
    step: Callable[[str], None],
    warn: Callable[[str], None],
    doing: Callable[[str], None] = lambda text: None,
    answer_seconds: float = ANSWER_SECONDS,
) -> bool:
    """Listen until the supervisor says that what it was asked to end has ended; whether it ends itself, and has.

    Silence and a broken connection are no success: nobody knows then how far it came.

    Args:
        until: the event that says so; Ended says it of everything.
        step: takes each step of the way back.
        warn: takes a sentence about what is left all the same.
        doing: takes what is waited for from now on.
        answer_seconds: how long to wait for the first event, whichever it is.

    Raises: LocalizeError where something could not be brought back, where the supervisor does not answer or
        does not end, and where it is gone before it has said so.
    """
    last, failure = _listen(control, until, step, doing, answer_seconds)
    if last is _Last.TAKEN:
        return False
    if last is _Last.ENDS:
        return _ended(run, failure, warn)
    if failure is not None:
        raise failure
    if last is _Last.STAYS:
        return False
    if last is _Last.NOTHING and control.closed and wait_ended(run) and not run.exposures.exists():
        return True  # it was ending already, and heard nobody any more
    raise _unsaid(run)


def _listen(
    control: Control,
    until: type[Released | Restored | Ended],
    step: Callable[[str], None],
    doing: Callable[[str], None],
    answer_seconds: float,
) -> tuple[_Last, LocalizeError | None]:
    """What a supervisor said last, and the first thing that it could not bring back; see `wait_for_release`."""
    last, failure = _Last.NOTHING, None
    control.patient(answer_seconds)  # it says `accepted` at once, and then takes the time that it takes
    for event in control.events():
        control.patient(None)
        last = _Last.SOMETHING if last is _Last.NOTHING else last
        match event:
            case Step(text):
                step(text)
            case Progress(text):
                doing(text)
            case Failed(message, hint):
                failure = failure or LocalizeError(message, hint)
            case Taken():
                return _Last.TAKEN, None
            case Ended():
                return _Last.ENDS, failure
            case Released() | Restored() if isinstance(event, until):
                if not event.ending:
                    return _Last.STAYS, failure
                last = _Last.ENDS  # but what others began may take its time yet
    return last, failure


def warn_of_leftovers(run: RunPaths, warn: Callable[[str], None]) -> None:
    """Say so where nobody runs there and the record holds exposures that were begun and not ended."""
    if owner(run.pidfile) is None and run.exposures.exists():
        warn("a crashed run left an exposure; `kubectl localize restore` undoes it")


def _ended(run: RunPaths, failure: LocalizeError | None, warn: Callable[[str], None]) -> bool:
    if not wait_ended(run):
        raise LocalizeError(f"the supervisor in {run.directory} does not end", "see `kubectl localize logs`")
    if failure is not None:
        raise failure
    warn_of_leftovers(run, warn)
    return True


def _unsaid(run: RunPaths) -> LocalizeError:
    pid = owner(run.pidfile)
    if pid is not None:
        return LocalizeError(
            f"the supervisor with pid {pid} does not answer",
            f"`kill -CONT {pid}` wakes one that was stopped; `kill -9 {pid}` ends it, and `kubectl localize restore`"
            " undoes what it leaves",
        )
    return LocalizeError(
        "the supervisor is gone before everything was back", "`kubectl localize restore` undoes what is left"
    )
