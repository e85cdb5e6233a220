"""`expose` between its first request and its end: whom it asks, what it shows, when it lets go."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.client import Control
from kubectl_localize.cli.commands.expose import Expose, expose_request
from kubectl_localize.cli.holder import CTRL_C
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.ls_document import ExposureItem, ExposurePort, ForwardItem, LsDocument, Status, WorkloadItem
from kubectl_localize.model import ServiceKey
from kubectl_localize.protocol import Exposed
from tests.cluster.commands import wait_until
from tests.unit.cli.scripted import HANG_UP, Event, scripted
from tests.unit.cluster.samples import CONNECTION

ACCEPTED: Event = {"event": "accepted"}
EXPOSED: Event = {"event": "exposed", "document": LsDocument().to_json()}
RELEASED: Event = {"event": "released", "ending": False}
STOPPED: list[Event] = [{"event": "released", "ending": True}, {"event": "ended"}]
RUN: Event = {"event": "run", "question": 7, "variables": []}
END = "\x04"  # after all that a terminal is sent


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The handlers that the command sets are gone afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _on_a_terminal(work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a terminal on stderr was sent; it takes in more than these tests write."""
    master, slave = pty.openpty()
    with open(slave, "w") as stream, monkeypatch.context() as changed:
        changed.setenv("TERM", "xterm")
        changed.setattr(sys, "stderr", stream)
        work()
        stream.write(END)
        stream.flush()
        sent = b""
        while not sent.endswith(END.encode()):  # the kernel hands it over a piece at a time
            sent += os.read(master, 65536)
    os.close(master)
    return re.sub(r"\(\d+\.\d s\)", "(S)", sent.decode().removesuffix(END).replace("\r\n", "\n"))


def _progress(text: str) -> Event:
    return {"event": "progress", "text": text}


def _over(*names: str, message: str = "", ending: bool = False) -> Event:
    return {"event": "over", "services": list(names), "message": message, "hint": "", "ending": ending}


def _expose(run: RunPaths, *command: str, services: tuple[str, ...] = ("cart",)) -> int:
    keys = tuple(ServiceKey("shop", name) for name in services)
    args = Arguments(command="expose", words=services, program=command)
    return Expose(args, run, keys).run_request(expose_request(args, CONNECTION, keys))


@pytest.mark.parametrize("way_up", [[ACCEPTED], [ACCEPTED, {"event": "step", "text": "checks passed"}, RUN]])
def test_what_is_stopped_on_the_way_up_is_not_begun_anew(way_up: list[Event], tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    again = {"expose": [ACCEPTED, EXPOSED], "release": [RELEASED]}
    first = {"expose": way_up, "answer": STOPPED} if RUN in way_up else {"expose": [*way_up, *STOPPED]}
    with scripted(run, first, again) as supervisor:
        with pytest.raises(LocalizeError, match="the supervisor was stopped"):
            _expose(run, "sleep", "60")
        assert supervisor.asked.count("expose") == 1
    assert not psutil.Process().children()


def test_a_supervisor_that_is_just_ending_is_not_the_one_to_ask(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    refusing = {"event": "error", "message": "shop/cart is not there", "hint": ""}
    with scripted(
        run,
        {"expose": [{"event": "ended"}]},
        {"expose": [{"event": "taken"}]},
        {"expose": [refusing], "release": [RELEASED]},
    ) as supervisor:
        with pytest.raises(LocalizeError, match="shop/cart is not there"):
            _expose(run)
        assert supervisor.asked == [*["expose"] * 3, "release"]


@pytest.mark.parametrize("command", [(), ("sleep", "60")])
def test_what_another_command_has_ended_is_let_go(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunPaths(tmp_path / "k")
    live = [EXPOSED, _over("shop/other"), _over("shop/cart")]
    way = {"expose": [ACCEPTED, RUN], "answer": live} if command else {"expose": [ACCEPTED, *live]}
    with scripted(run, {**way, "release": [RELEASED]}) as supervisor:
        assert _expose(run, *command) == 0
        assert supervisor.asked[-1] == "release"
    assert "shop/cart is not exposed any more: another command has ended it\n" in capsys.readouterr().err
    assert not psutil.Process().children()


def test_who_does_not_want_to_wait_for_the_way_back_hears_that_it_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunPaths(tmp_path / "k")
    with scripted(run, {"expose": [ACCEPTED, EXPOSED], "release": [ACCEPTED]}) as supervisor:

        def press_ctrl_c_twice() -> None:
            for seen in ("expose", "release"):
                wait_until(seen, lambda seen=seen: supervisor.asked[-1:] == [seen], 10, 0.005)  # type: ignore[misc]
                os.kill(os.getpid(), signal.SIGINT)

        pressing = threading.Thread(target=press_ctrl_c_twice)
        pressing.start()
        with pytest.raises(KeyboardInterrupt):
            _expose(run)
        pressing.join()
    assert "warning: everything is still being put back; `kubectl localize ls` shows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("workloads", "said"),
    [
        (
            ("cart",),
            "putting shop/cart back: until the pods of Deployment cart are Ready (3 minutes at most), and 6 s more",
        ),
        ((), "putting shop/cart back: about 6 s"),
        (None, "putting everything back: some seconds, or, if shop/cart was scaled down, until its pods are Ready"),
    ],
)
def test_what_follows_ctrl_c_depends_on_what_was_done(
    workloads: tuple[str, ...] | None, said: str, tmp_path: Path
) -> None:
    expose = Expose(Arguments(detach=True), RunPaths(tmp_path), (ServiceKey("shop", "cart"),))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if workloads is not None:
            items = tuple(WorkloadItem("Deployment", name, 2) for name in workloads)
            item = ExposureItem("kind", "shop", "cart", Status.EXPOSED, workloads=items)
            expose.go_on(Exposed(LsDocument(items=(item,))), Control(ours))
        assert expose.ending_text() == f"{said}; Ctrl-C again leaves the rest to the supervisor"


def test_after_ctrl_c_the_first_line_says_what_follows_and_the_last_how_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunPaths(tmp_path / "k")
    missed: Event = {"event": "missed", "text": "Deployment shop/cart: only 0 of 2 pods Ready after 120 s; going on"}
    back: Event = {"event": "back", "text": "shop/cart is back, 2 of 2 Ready"}
    with scripted(run, {"expose": [ACCEPTED], "release": [ACCEPTED, missed, back, RELEASED]}) as supervisor:

        def press_ctrl_c() -> None:
            wait_until("request", lambda: supervisor.asked[-1:] == ["expose"], 10, 0.005)
            os.kill(os.getpid(), signal.SIGINT)

        pressing = threading.Thread(target=press_ctrl_c)
        pressing.start()
        assert _expose(run) == CTRL_C
        pressing.join()
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("putting everything back")
    assert re.sub(r"\(\d+\.\d s\)", "(S)", rest[0]) == f"✗ {missed['text']} (S)"
    assert rest[-1] == back["text"]


def test_of_several_the_last_one_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunPaths(tmp_path / "k")
    said = {"event": "change", "text": "it goes on"}
    events = [ACCEPTED, EXPOSED, _over("shop/cart"), said, _over("shop/web")]
    with scripted(run, {"expose": events, "release": [RELEASED]}):
        assert _expose(run, services=("cart", "web")) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["shop/cart", "it", "shop/web"]


def test_one_that_breaks_is_an_error(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    broken = _over("shop/cart", message="the failsafe has brought it back")
    with scripted(run, {"expose": [ACCEPTED, EXPOSED, broken]}), pytest.raises(LocalizeError, match="the failsafe"):
        _expose(run)


def test_a_supervisor_that_is_stopped_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunPaths(tmp_path / "k")
    with scripted(run, {"expose": [ACCEPTED, EXPOSED, _over("shop/cart", ending=True), {"event": "ended"}]}):
        assert _expose(run) == 0
    assert capsys.readouterr().err.splitlines() == ["the supervisor was stopped"]


def test_it_tells_of_its_own_exposures_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunPaths(tmp_path / "k")
    ports = (ExposurePort(80, 3000, "127.0.0.1:3000"),)
    items = (
        ForwardItem("dev", "shop", "cart", Status.ACTIVE),
        ExposureItem("dev", "shop", "cart", Status.EXPOSED, ports=ports),
        ExposureItem("dev", "shop", "web", Status.EXPOSED, ports=ports),
    )
    exposed = {"event": "exposed", "document": LsDocument((), items).to_json()}
    with scripted(run, {"expose": [ACCEPTED, exposed, _over("shop/cart")], "release": [RELEASED]}):
        assert _expose(run) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Exposed shop/cart: 80 -> 127.0.0.1:3000; Ctrl-C ends it"
    assert [line.split()[0] for line in lines[1:]] == ["shop/cart"]


def test_in_the_background_it_says_the_command_that_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunPaths(tmp_path / "k")
    item = ExposureItem("dev", "shop", "cart", Status.EXPOSED, ports=(ExposurePort(80, 3000, "127.0.0.1:3000"),))
    exposed = {"event": "exposed", "document": LsDocument((), (item,)).to_json()}
    with scripted(run, {"expose": [ACCEPTED, exposed]}):
        args = Arguments(command="expose", words=("cart",), detach=True)
        keys = (ServiceKey("shop", "cart"),)
        assert Expose(args, run, keys).run_request(expose_request(args, CONNECTION, keys)) == 0
    assert "`kubectl localize expose --stop shop/cart` ends it" in capsys.readouterr().err


@pytest.mark.parametrize("ignored", [True, False])
def test_a_closed_terminal_ends_it_but_not_under_nohup(ignored: bool, tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    over = [_over("shop/cart", message="it is over")] if ignored else []
    with scripted(run, {"expose": [ACCEPTED, EXPOSED, HANG_UP, *over], "release": [RELEASED]}) as supervisor:
        if ignored:
            with pytest.raises(LocalizeError, match="it is over"):
                _expose(run)
        else:
            assert _expose(run) in (0, CTRL_C)  # whether it was live then is the one's or the other's luck
        assert supervisor.asked == (["expose"] if ignored else ["expose", "release"])


CLEARED = "\r\x1b[2K"
READY: Event = {"event": "step", "text": "exposure pod Ready"}
DELETED: Event = {"event": "step", "text": "exposure pod deleted"}


def test_on_a_terminal_it_says_what_it_waits_for_until_that_has_come(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = RunPaths(tmp_path / "k")
    up = [ACCEPTED, _progress("waiting for the pod"), _progress("connecting"), READY, EXPOSED, _over("shop/cart")]
    back = [_progress("the pod is ending"), DELETED, RELEASED]

    def work() -> None:
        with scripted(run, {"expose": up, "release": back}):
            assert _expose(run) == 0

    assert _on_a_terminal(work, monkeypatch) == (
        f"checking{CLEARED}waiting for the pod{CLEARED}connecting{CLEARED}✓ exposure pod Ready (S)\n"
        "shop/cart is not exposed any more: another command has ended it\n"
        f"the pod is ending{CLEARED}✓ exposure pod deleted (S)\n"
    )


def test_an_error_finds_the_line_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    refusing = {"event": "error", "message": "shop/cart is not there", "hint": ""}

    def work() -> None:
        with (
            scripted(run, {"expose": [ACCEPTED, refusing], "release": [RELEASED]}),
            pytest.raises(LocalizeError, match="is not there"),
        ):
            _expose(run)

    assert _on_a_terminal(work, monkeypatch) == f"checking{CLEARED}"


def test_beside_a_command_what_is_waited_for_has_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = RunPaths(tmp_path / "k")
    up = [_progress("waiting for it to listen"), READY, EXPOSED, _over("shop/cart")]
    back = [_progress("the pod is ending"), DELETED, RELEASED]

    def work() -> None:
        with scripted(run, {"expose": [ACCEPTED, RUN], "answer": up, "release": back}):
            assert _expose(run, "sleep", "60") == 0

    text = _on_a_terminal(work, monkeypatch)
    assert text.startswith(f"checking{CLEARED}started sleep\nwaiting for it to listen\n✓ exposure pod Ready (S)\n")
    assert text.endswith(f"the pod is ending{CLEARED}✓ exposure pod deleted (S)\n"), "it has ended by then"


def test_without_a_terminal_it_shows_steps_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunPaths(tmp_path / "k")
    up = [ACCEPTED, _progress("waiting for the pod"), READY, EXPOSED, _over("shop/cart")]
    with scripted(run, {"expose": up, "release": [_progress("the pod is ending"), DELETED, RELEASED]}):
        assert _expose(run) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines if "not exposed" not in line] == [
        "✓ exposure pod Ready", "✓ exposure pod deleted"
    ]  # fmt: skip
