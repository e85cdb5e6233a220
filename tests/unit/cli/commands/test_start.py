"""What sudo is asked for, and what was started, in words; and how the command lets go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubectl_localize.cli import holder
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.privileges import describe
from kubectl_localize.cli.start_holder import StartHolder, summary
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.process import Pidfile
from kubectl_localize.ls_document import ForwardCounts, Status
from kubectl_localize.model import Options, Selection
from kubectl_localize.protocol import PrivilegesNeeded, StartRequest
from tests.unit.cli.samples import document, exposure, forward, port, webshop
from tests.unit.cli.scripted import GONE, NOT_ANY_MORE, TERMINATE, Event, scripted
from tests.unit.cluster.samples import CONNECTION


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (PrivilegesNeeded(1, True, ()), ["write names to /etc/hosts"]),
        (PrivilegesNeeded(1, False, (80,)), ["bind port 80"]),
        (PrivilegesNeeded(1, True, (80, 443)), ["write names to /etc/hosts", "bind ports 80, 443"]),
        (PrivilegesNeeded(1, False, tuple(range(80, 87))), ["bind ports 80, 81, 82, 83, 84 and 2 more"]),
        (PrivilegesNeeded(1, False, (), addresses=True), ["add addresses to the loopback interface"]),
    ],
)
def test_what_sudo_is_asked_for(needs: PrivilegesNeeded, expected: list[str]) -> None:
    assert describe(needs, "/etc/hosts") == expected


TAKEN = {"status": Status.BACKOFF, "reason": "127.71.4.19:80 is in use", "local_port": 0}


def test_the_summary_counts_forwards_once_and_names_what_cannot_be() -> None:
    counts = ForwardCounts.of(webshop())
    assert summary(counts, "kind-dev") == "3 Services of context kind-dev forwarded (1 more cannot be forwarded)"


def test_the_summary_does_not_count_services_whose_ports_are_all_taken() -> None:
    found = document(
        forward(
            "shop", "taken", port(80, 80, **TAKEN), port(53, 53, protocol="UDP", status=Status.SKIPPED, local_port=0)
        ),
        forward("shop", "in-part", port(80, 80, **TAKEN), port(81, 81)),
        forward("shop", "failing", port(80, 80, status=Status.BACKOFF, reason="it ended")),
        forward("shop", "waiting", port(80, "http", status=Status.WAITING, reason="no Ready pod", local_port=0)),
        exposure("shop", "waiting"),
    )
    assert summary(ForwardCounts.of(found), "dev") == "3 Services of context dev forwarded (1 more cannot listen here)"


def test_the_summary_of_nothing_but_taken_ports_is_none() -> None:
    found = document(forward("shop", "taken", port(80, 80, **TAKEN)))
    assert summary(ForwardCounts.of(found), "dev") == "0 Services of context dev forwarded (1 more cannot listen here)"


ACCEPTED: Event = {"event": "accepted"}
REQUEST = StartRequest(CONNECTION, Selection(), Options())
RELEASED: Event = {"event": "released", "ending": False}


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The handler that the command sets is gone afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def _start(run: RunPaths) -> int:
    return StartHolder(Arguments(), CONNECTION, run, Options()).run_request(REQUEST)


def test_it_lets_go_when_told_to_end(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    with scripted(run, {"start": [ACCEPTED, TERMINATE], "release": [ACCEPTED, RELEASED]}) as supervisor:
        assert _start(run) == 130
        assert supervisor.asked == ["start", "release"]


def test_a_supervisor_that_breaks_off_while_it_cleans_up_is_no_success(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    with (
        scripted(run, {"start": [ACCEPTED, TERMINATE], "release": [ACCEPTED, GONE]}),
        pytest.raises(LocalizeError, match="gone before everything was back"),
    ):
        _start(run)


def test_what_went_wrong_first_is_what_it_says(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    refused: Event = {"event": "error", "message": "no Service is called cartt", "hint": "did you mean cart?"}
    with (
        scripted(run, {"start": [ACCEPTED, refused], "release": [ACCEPTED, GONE]}),
        pytest.raises(LocalizeError, match="no Service is called cartt") as caught,
    ):
        _start(run)
    assert caught.value.hint == "did you mean cart?"


# Ctrl-C in the very moment in which a socket is made leaves it to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_supervisor_that_was_turned_away_from_is_not_asked_to_let_go(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    run.directory.mkdir()
    held = Pidfile.acquire(run.pidfile)  # one is just starting that does not answer yet
    assert held is not None
    with scripted(run, {"start": [NOT_ANY_MORE, {"event": "taken"}], "closed": [TERMINATE]}):
        assert _start(run) == 130
    held.release()


def test_a_supervisor_that_was_stopped_is_woken_or_killed_not_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunPaths(tmp_path / "k")
    monkeypatch.setattr(holder, "ANSWER_SECONDS", 0.05)
    with scripted(run, {}):
        held = Pidfile.acquire(run.pidfile)
        assert held is not None
        with pytest.raises(LocalizeError, match=rf"pid {os.getpid()} does not answer") as caught:
            _start(run)
        held.release()
    assert f"kill -CONT {os.getpid()}" in caught.value.hint


def test_the_log_of_a_supervisor_that_broke_off_stays(tmp_path: Path) -> None:
    run = RunPaths(tmp_path / "k")
    refused: Event = {"event": "error", "message": "no Service is called cartt", "hint": ""}
    with scripted(run, {"start": [ACCEPTED, refused], "release": [ACCEPTED, GONE]}):
        start = StartHolder(Arguments(), CONNECTION, run, Options())
        with pytest.raises(LocalizeError):
            start.run_request(REQUEST)
        assert not start.nothing_happened


def _imported(*modules: str) -> set[str]:
    """What is imported with these modules."""
    program = "import sys\n" + "".join(f"import {module}\n" for module in modules) + "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, timeout=60)
    return set(done.stdout.split())


def test_a_start_imports_nothing_that_it_does_not_need() -> None:
    slow = {"sh", "yaml", "psutil", "tabulate", "argcomplete", "asyncio", "kubectl_localize.supervisor"}
    assert not slow & _imported("kubectl_localize.cli.main", "kubectl_localize.cli.start_holder")


def test_the_supervisor_is_spawned_before_the_rest_is_imported() -> None:
    later = {"kubectl_localize.protocol", "kubectl_localize.cli.holder", "kubectl_localize.cli.terminal"}
    assert not later & _imported("kubectl_localize.cli.main", "kubectl_localize.cli.commands.start")
