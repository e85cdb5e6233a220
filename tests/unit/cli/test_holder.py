"""What `kubectl localize` and `expose` do alike: signals, refusals, supervisors that are just ending."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.commands.expose import Expose, expose_request
from kubectl_localize.cli.holder import CTRL_C
from kubectl_localize.cli.start_holder import StartHolder
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.ls_document import LsDocument
from kubectl_localize.model import Options, Selection, ServiceKey
from kubectl_localize.protocol import StartRequest
from tests.unit.cli.scripted import GONE, HANG_UP, TERMINATE, Event, scripted
from tests.unit.cluster.samples import CONNECTION

ACCEPTED: Event = {"event": "accepted"}
RELEASED: Event = {"event": "released", "ending": False}
REFUSED: Event = {"event": "error", "message": "it cannot be", "hint": "do something else"}
NOTHING = {"forwarded": 0, "skipped": 0, "deaf": 0}
CART = (ServiceKey("shop", "cart"),)


def _start(paths: RunPaths) -> int:
    return StartHolder(Arguments(), CONNECTION, paths, Options()).run_request(
        StartRequest(CONNECTION, Selection(), Options())
    )


def _expose(paths: RunPaths) -> int:
    args = Arguments(command="expose", words=("shop/cart",))
    return Expose(args, paths, CART).run_request(expose_request(args, CONNECTION, CART))


BOTH = pytest.mark.parametrize(
    ("op", "command", "live"), [("start", _start, "ready"), ("expose", _expose, "exposed")], ids=["start", "expose"]
)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A test starts with the system's handlers, and those that the command sets are gone afterwards."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths(tmp_path / "k")


@BOTH
@pytest.mark.parametrize("told", [TERMINATE, HANG_UP], ids=["TERM", "HUP"])
def test_it_lets_go_if_told_to_end_on_the_way_up(
    op: str, command: Callable[[RunPaths], int], live: str, told: Event, paths: RunPaths
) -> None:
    with scripted(paths, {op: [ACCEPTED, told], "release": [ACCEPTED, RELEASED]}) as supervisor:
        assert command(paths) == CTRL_C
        assert supervisor.asked == [op, "release"]


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_ignored_signal_stays_ignored(
    op: str, command: Callable[[RunPaths], int], live: str, number: signal.Signals, paths: RunPaths
) -> None:
    signal.signal(number, signal.SIG_IGN)
    up = {"event": live, "counts": NOTHING, "document": LsDocument().to_json()}
    with scripted(paths, {op: [ACCEPTED, {"event": "signal", "number": number}, up, {"event": "ended"}]}) as supervisor:
        assert command(paths) == 0
        assert supervisor.asked == [op]


@BOTH
def test_a_refusal_is_released_before_it_is_said(
    op: str, command: Callable[[RunPaths], int], live: str, paths: RunPaths
) -> None:
    with scripted(paths, {op: [ACCEPTED, REFUSED], "release": [ACCEPTED, RELEASED]}) as supervisor:
        with pytest.raises(LocalizeError, match="it cannot be") as caught:
            command(paths)
        assert supervisor.asked == [op, "release"]
    assert caught.value.hint == "do something else"


@BOTH
def test_a_supervisor_that_is_just_ending_is_not_the_one_to_ask(
    op: str, command: Callable[[RunPaths], int], live: str, paths: RunPaths
) -> None:
    up = {"event": live, "counts": NOTHING, "document": LsDocument().to_json()}
    scripts = [{op: [{"event": "ended"}]}, {op: [{"event": "taken"}]}, {op: [ACCEPTED, up, {"event": "ended"}]}]
    with scripted(paths, *scripts) as supervisor:
        assert command(paths) == 0
        assert supervisor.asked == [op] * 3


@BOTH
def test_a_question_that_nobody_can_answer_is_answered_with_no(
    op: str, command: Callable[[RunPaths], int], live: str, paths: RunPaths
) -> None:
    question: Event = {"event": "confirm", "question": 7, "text": "undo it?"}
    up = {"event": live, "counts": NOTHING, "document": LsDocument().to_json()}
    with scripted(paths, {op: [ACCEPTED, question], "answer": [up, {"event": "ended"}]}) as supervisor:
        assert command(paths) == 0
        assert supervisor.asked == [op, "answer"]


@BOTH
def test_a_supervisor_that_is_gone_is_an_error_with_a_hint(
    op: str, command: Callable[[RunPaths], int], live: str, paths: RunPaths
) -> None:
    with scripted(paths, {op: [ACCEPTED, GONE]}), pytest.raises(LocalizeError, match="the supervisor ended") as caught:
        command(paths)
    assert caught.value.hint
