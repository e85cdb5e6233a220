"""What a running supervisor undoes of crashed runs: only what is on its record, in its time, and to its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from kubectl_localize.cluster.exposing.journal import LEASE_SECONDS, Entry
from kubectl_localize.errors import KubectlError
from kubectl_localize.protocol import RestoreRequest
from kubectl_localize.supervisor.exposing.recovery import SECOND_LOOK_SECONDS, Recovery
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.sessions import Judge
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.cluster import APPS, Cluster
from tests.unit.fakes.progress import RecordedProgress
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import HERE, NOW, OWNER, entry, write, write_unreadable
from tests.unit.supervisor.loop import until

CART, WEB = f"{APPS}/deployments/cart", f"{APPS}/deployments/web"
BEFORE_THE_RESTART = replace(OWNER, pid_namespace="another boot pid:[1]")


@dataclass
class Stage:
    """A cluster with journals, this machine's record of all of their sessions, and what recovers them.

    Attributes:
        alive: the pids that live.
        live: the sessions that this supervisor has at work.
    """

    directory: Path
    cluster: Cluster = field(default_factory=Cluster)
    alive: set[int] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    progress: RecordedProgress = field(default_factory=RecordedProgress)

    def __post_init__(self) -> None:
        self.record = SessionLedger(self.directory / "exposures.json", self.directory.parent / "exposures.lock")

    def begun(self, *entries: Entry) -> None:
        """This machine began these, and they have their workloads at zero."""
        for one in entries:
            self.cluster.workload(one.workload.name, 0)
            write(self.cluster, one)
            self.record_begins(one.session, one.namespace)

    def record_begins(self, session: str, namespace: str) -> None:
        """This machine has the session in its ledger."""
        sessions = {**self.record.sessions(), session: namespace}
        (self.directory / "exposures.json").write_text(json.dumps({"sessions": sessions}))

    def recorded(self) -> dict[str, str]:
        """The sessions in this machine's ledger."""
        return self.record.sessions()

    def recovery(self) -> Recovery:
        """Within an event loop."""
        return Recovery(
            self.cluster.api,
            self.record,
            self.directory,
            judge=Judge(
                HERE, lambda pid, started: pid in self.alive, lambda: NOW + timedelta(seconds=self.cluster.now)
            ),
            clock=self.cluster.clock,
            live=self,
        )

    def live_sessions(self) -> set[str]:
        return self.live

    def run(self) -> frozenset[str]:
        """One pass of a supervisor that closes then; the Services that were undone."""

        async def once() -> frozenset[str]:
            recovery = self.recovery()
            try:
                return await recovery.run(self.progress)
            finally:
                await recovery.close()

        return asyncio.run(once())

    def restore(self, *, yes: bool = False, dry_run: bool = False, assume_yes: bool = False) -> bool:
        """Carry out `restore`; whether there was anything. `progress` is anew, and its user says yes or no."""
        self.progress = RecordedProgress(yes=yes)
        request = RestoreRequest(CONNECTION, dry_run=dry_run, assume_yes=assume_yes)
        return asyncio.run(self.recovery().restore(request, self.progress))

    def replicas(self) -> Sequence[int]:
        """Of cart and web."""
        return [self.cluster.replicas(path) for path in (CART, WEB) if path in self.cluster.objects]


def of_web(**changes: object) -> Entry:
    return entry("web", session="xyz98", services=("shop/web",), **changes)


def test_what_is_dead_is_undone_and_forgotten(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    (tmp_path / "ssh-abc12").write_text("key")
    assert stage.run() == {"shop/cart"}
    assert (stage.replicas(), stage.cluster.left("abc12")) == ([2], [])
    assert list(tmp_path.iterdir()) == []
    stage.cluster.fails = lambda now, method, path: FORBIDDEN
    assert stage.run() == frozenset(), "nobody is asked where nothing is on record"


def test_pods_that_do_not_get_ready_are_no_success_of_restore(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    stage.cluster.ready_seconds = float("inf")
    assert stage.restore()
    assert [failure.message for failure in stage.progress.failures] == [
        "shop/cart is put back, but not all of its pods are Ready (Deployment shop/cart: 0 of 2 Ready)"
    ]
    assert (stage.recorded(), stage.cluster.left("abc12"), stage.progress.last_words) == ({}, [], [])


def test_what_lives_here_is_left_alone_whatever_is_said_of_its_process(tmp_path: Path) -> None:
    stage = Stage(tmp_path, live={"abc12"})
    stage.begun(entry(), of_web(owner=replace(OWNER, pid=4712)))
    assert stage.run() == {"shop/web"}
    assert stage.replicas() == [0, 2]
    assert stage.record.sessions() == {"abc12": "shop"}


def test_what_this_process_could_not_bring_back_is_tried_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, alive={OWNER.pid, 4712})
    stage.begun(entry(), of_web(owner=replace(OWNER, pid=4712)))
    assert stage.run() == {"shop/cart"}
    assert stage.replicas() == [2, 0]


def test_what_is_not_on_record_is_left_to_the_command(tmp_path: Path) -> None:
    """Whoever may write Leases could have made it, and it would be scaled with this user's rights."""
    stage = Stage(tmp_path)
    stage.begun(entry())
    stage.cluster.workload("web", 0)
    write(stage.cluster, of_web())
    assert stage.run() == {"shop/cart"}
    assert stage.replicas() == [2, 0]


def test_one_that_never_wrote_a_journal_is_forgotten(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.record_begins("abc12", "shop")
    (tmp_path / "ssh-abc12").write_text("key")
    assert stage.run() == frozenset()
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_looked_for_or_read_stays_on_record(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    stage.record_begins("qrs56", "secret")
    stage.cluster.workload("web", 0)
    write_unreadable(stage.cluster, of_web())
    stage.record_begins("xyz98", "shop")
    stage.cluster.fails = lambda now, method, path: FORBIDDEN if "/secret/" in path else ""
    assert stage.run() == {"shop/cart"}
    assert stage.record.sessions() == {"qrs56": "secret", "xyz98": "shop"}
    assert ["qrs56 in namespace secret may still be" in text for text in stage.progress.steps][:2] == [True, False]
    assert "xyz98 in namespace shop may still be there" in stage.progress.steps[1]


def test_a_failure_keeps_its_own_record_only(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry(), of_web())
    stage.cluster.fails = lambda now, method, path: FORBIDDEN if path == f"{CART}/scale" else ""
    with pytest.raises(KubectlError, match="cart could not be brought back"):
        stage.run()
    assert (stage.replicas(), stage.record.sessions()) == ([0, 2], {"abc12": "shop"})


# -- after a restart of the machine -----------------------------------------------------------------------------------
def test_after_a_restart_it_is_undone_at_once_when_it_was_silent_for_long(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry(owner=BEFORE_THE_RESTART, renewed=NOW - timedelta(seconds=LEASE_SECONDS)))
    assert stage.run() == {"shop/cart"}
    assert stage.replicas() == [2]


async def test_else_it_is_said_and_undone_by_itself_after_that_silence(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry(owner=BEFORE_THE_RESTART, renewed=NOW - timedelta(seconds=LEASE_SECONDS - 18)))
    recovery = stage.recovery()
    assert await recovery.run(stage.progress) == frozenset()
    assert (stage.replicas(), stage.record.sessions()) == ([0], {"abc12": "shop"})
    assert ["not undone yet: shop/cart" in text and "in 18 s" in text for text in stage.progress.steps] == [True]
    await until(lambda: not stage.record.sessions())
    assert stage.cluster.at("PUT deployments/cart/scale") >= 18
    assert (stage.replicas(), stage.cluster.left("abc12")) == ([2], [])
    await recovery.close()


async def test_one_that_turns_out_to_live_in_a_container_is_left_alone(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    container = entry(owner=replace(OWNER, pid_namespace="boot pid:[2]"))
    stage.begun(container)

    def renews(now: float, method: str, path: str) -> str:
        write(stage.cluster, replace(container, renewed=NOW + timedelta(seconds=now)))
        return ""

    stage.cluster.fails = renews
    recovery = stage.recovery()
    await recovery.run(stage.progress)
    await until(lambda: stage.cluster.now >= LEASE_SECONDS)
    await recovery.close()
    assert (stage.replicas(), stage.record.sessions()) == ([0], {"abc12": "shop"})


IN_A_CONTAINER = replace(OWNER, pid_namespace="boot pid:[2]")


@pytest.mark.parametrize("silent_seconds", [LEASE_SECONDS, 30 * 24 * 3600])
def test_after_a_sleep_of_the_machine_a_container_is_given_time_to_speak(tmp_path: Path, silent_seconds: int) -> None:
    stage = Stage(tmp_path)
    container = entry(owner=IN_A_CONTAINER, renewed=NOW - timedelta(seconds=silent_seconds))
    stage.begun(container)

    def renews(now: float, method: str, path: str) -> str:
        if now > 0:
            write(stage.cluster, replace(container, renewed=NOW + timedelta(seconds=now)))
        return ""

    stage.cluster.fails = renews
    assert stage.run() == frozenset()
    assert (stage.replicas(), stage.record.sessions()) == ([0], {"abc12": "shop"})
    assert [text for text in stage.progress.steps if "left alone, as it lives: shop/cart" in text]


def test_a_container_that_stays_silent_is_undone(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry(owner=IN_A_CONTAINER, renewed=NOW - timedelta(seconds=LEASE_SECONDS)))
    assert stage.run() == {"shop/cart"}
    assert stage.cluster.at("PUT deployments/cart/scale") >= SECOND_LOOK_SECONDS
    assert (stage.replicas(), stage.record.sessions()) == ([2], {})


# -- who asks for it goes ---------------------------------------------------------------------------------------------
async def cancelled_while_it_scales_up(stage: Stage, then: str = "") -> None:
    """Whoever asked is cancelled while the workload is scaled up; after that every request fails with these words."""
    stage.begun(entry())
    asking = asyncio.create_task(stage.recovery().run(stage.progress))

    def fails(now: float, method: str, path: str) -> str:
        if method == "PUT":
            asking.cancel()
        return then if asking.cancelling() and method != "PUT" else ""

    stage.cluster.fails = fails
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_who_is_cancelled_meanwhile_waits_until_what_was_begun_is_undone(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await cancelled_while_it_scales_up(stage)
    assert (stage.replicas(), stage.cluster.left("abc12"), stage.record.sessions()) == ([2], [], {})


async def test_a_failure_after_that_is_said(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await cancelled_while_it_scales_up(stage, FORBIDDEN)
    (failure,) = stage.progress.failures
    assert "Deployment shop/cart could not be brought back" in failure.message
    assert stage.record.sessions() == {"abc12": "shop"}


async def test_before_anything_is_undone_it_ends_at_once(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    asking = asyncio.create_task(stage.recovery().run(stage.progress))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (stage.cluster.story, stage.progress.steps) == ([], [])


async def test_one_pass_after_the_other(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    recovery = stage.recovery()
    first, second = await asyncio.gather(recovery.run(stage.progress), recovery.run(stage.progress))
    assert (first, second) == (frozenset({"shop/cart"}), frozenset())


# -- restore ----------------------------------------------------------------------------------------------------------
def test_restore_undoes_what_is_dead_and_forgets_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    (tmp_path / "ssh-abc12").write_text("key")
    assert stage.restore()
    assert (stage.replicas(), stage.progress.failures, stage.progress.questions) == ([2], [], [])
    assert "undoing the exposure of shop/cart" in stage.progress.steps[0]
    assert list(tmp_path.iterdir()) == []
    assert not stage.restore(), "there is nothing any more"


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    assert stage.restore(dry_run=True)
    assert stage.progress.plan == ["would undo the exposure of shop/cart: Deployment shop/cart back to 2"]
    assert (stage.replicas(), stage.recorded()) == ([0], {"abc12": "shop"})


@pytest.mark.parametrize("dry_run", [False, True])
def test_where_it_may_not_look_it_keeps_the_record_and_says_so(tmp_path: Path, dry_run: bool) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    (tmp_path / "ssh-abc12").write_text("key")
    stage.cluster.fails = lambda now, method, path: FORBIDDEN if "leases" in path else ""
    assert stage.restore(dry_run=dry_run)
    (failure,) = stage.progress.failures
    assert "the exposure abc12 in namespace shop may still be there: you may not list Leases" in failure.message
    assert stage.recorded() == {"abc12": "shop"}
    assert (tmp_path / "ssh-abc12").exists()


def test_what_it_cannot_read_is_not_gone_either(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    write_unreadable(stage.cluster, entry())
    assert stage.restore()
    (failure,) = stage.progress.failures
    assert "this version cannot read its journal" in failure.message
    assert stage.recorded() == {"abc12": "shop"}


def test_one_that_could_not_be_undone_keeps_only_its_own_record(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry())
    stage.record_begins("never", "shop")
    stage.cluster.fails = lambda now, method, path: FORBIDDEN if "scale" in path else ""
    assert stage.restore()
    (failure,) = stage.progress.failures
    assert "could not be brought back" in failure.message
    assert stage.recorded() == {"abc12": "shop"}


def test_one_from_before_a_restart_is_named_until_it_was_silent_for_long_enough(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.begun(entry(owner=BEFORE_THE_RESTART))
    assert stage.restore()
    (failure,) = stage.progress.failures
    assert "not undone yet: shop/cart" in failure.message
    assert (stage.replicas(), stage.recorded()) == ([0], {"abc12": "shop"})
    stage.cluster.now = LEASE_SECONDS
    assert stage.restore()
    assert (stage.progress.failures, stage.replicas(), stage.recorded()) == ([], [2], {})


def test_a_colleagues_is_named_and_no_failure(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    write(stage.cluster, entry(owner=replace(OWNER, machine="another")))
    assert stage.restore(yes=True, assume_yes=True), "so nobody adds that there is nothing"
    assert [text for text in stage.progress.steps if "left alone: shop/cart, exposed by ada" in text]
    assert (stage.progress.failures, stage.cluster.story) == ([], [])


def forged(stage: Stage) -> None:
    """Somebody who may write Leases makes one that says that it is this user's, on this machine, and dead."""
    stage.cluster.workload("cart", 0)
    write(stage.cluster, entry(replicas=50))


def test_a_forged_journal_is_undone_only_with_a_yes(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    forged(stage)
    stage.cluster.story.clear()
    assert stage.restore()
    assert (stage.replicas(), stage.cluster.story) == ([0], [])
    assert [text for text in stage.progress.steps if "left alone: shop/cart" in text and "--yes" in text]
    (question,) = stage.progress.questions
    assert "shop/cart, exposed by ada (ada@laptop)" in question
    assert "scales Deployment shop/cart to 50" in question
    assert stage.restore(yes=True)
    assert stage.replicas() == [50]


def test_with_assume_yes_nobody_is_asked(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    forged(stage)
    assert stage.restore(assume_yes=True)
    assert (stage.replicas(), stage.progress.questions) == ([50], [])


def test_a_session_of_the_ledger_is_known_in_its_own_namespace_only(tmp_path: Path) -> None:
    """Sessions are labels, which everybody sees."""
    stage = Stage(tmp_path)
    stage.record_begins("abc12", "other")
    forged(stage)
    assert stage.restore()
    assert (stage.replicas(), len(stage.progress.questions)) == ([0], 1)


def test_what_a_journal_says_reaches_no_terminal_as_it_is(tmp_path: Path) -> None:
    """Escape sequences are left out; line breaks, C1 controls and bidirectional overrides come out as blanks."""
    stage = Stage(tmp_path)
    nasty = "eve\x1b[2J\x9b31m\r\nerror: all is lost\u202e\u2066"
    write(stage.cluster, entry(owner=replace(OWNER, machine="another", user=nasty, login=nasty)))
    assert stage.restore()
    assert "eve error: all is lost (eve" in stage.progress.steps[0]
    assert all(text.isprintable() for text in stage.progress.steps)


def test_a_journal_whose_services_are_no_names_is_none(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    write(stage.cluster, entry(services=("shop/cart\x1b[2J",)))
    assert not stage.restore()
    assert stage.progress.questions == []


async def test_a_question_that_nobody_answers_holds_up_no_other_request(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    forged(stage)
    asked, answered = asyncio.Event(), asyncio.Event()

    class Thinking(RecordedProgress):
        async def confirm(self, text: str) -> bool:
            asked.set()
            await answered.wait()
            return False

    recovery = stage.recovery()
    restoring = asyncio.create_task(recovery.restore(RestoreRequest(CONNECTION), Thinking()))
    await asked.wait()
    stage.record_begins("never", "shop")
    assert await recovery.run(RecordedProgress()) == frozenset()
    answered.set()
    assert await restoring
