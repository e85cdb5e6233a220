"""Which journals are a dead session's of ours, and how several are undone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from kubectl_localize.cluster.exposing.journal import LEASE_SECONDS
from kubectl_localize.errors import KubectlError
from kubectl_localize.supervisor.exposing.restoring import Judged, dead_in, early_in_words, judge, silence_left, undo
from tests.unit.fakes.cluster import APPS, LEASES, Cluster
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import HERE, NOW, OWNER, entry, write


def nobody_lives(pid: int, started: float) -> bool:
    return False


def everybody_lives(pid: int, started: float) -> bool:
    return True


HOUR = timedelta(hours=1)
SILENT = [(0, 60.0), (LEASE_SECONDS - 1, 1.0), (LEASE_SECONDS, 0.0), (LEASE_SECONDS + HOUR.seconds, 0.0)]


def test_only_a_process_that_is_gone_is_dead() -> None:
    asked: list[tuple[int, float]] = []

    def lives(pid: int, started: float) -> bool:
        asked.append((pid, started))
        return pid == 4711

    assert dead_in([entry()], HERE, lives, NOW + HOUR) is None, "however long it has been silent"
    assert dead_in([entry(owner=replace(OWNER, pid=4712))], HERE, lives, NOW) == 0
    assert asked == [(4711, 5000.0), (4712, 5000.0)]


@pytest.mark.parametrize("foreign", [replace(OWNER, machine="another"), replace(OWNER, uid=1001)])
def test_other_machines_and_other_users_are_never_dead(foreign: object) -> None:
    assert dead_in([entry(owner=foreign)], HERE, nobody_lives, NOW + HOUR) is None


@pytest.mark.parametrize(("silent_seconds", "left"), SILENT)
@pytest.mark.parametrize("place", ["boot pid:[2]", "another boot pid:[1]", ""])
def test_in_another_container_or_boot_or_on_a_copy_of_this_machine_silence_counts(
    place: str, silent_seconds: int, left: float
) -> None:
    there = [entry(owner=replace(OWNER, pid_namespace=place))]
    now = NOW + timedelta(seconds=silent_seconds)
    assert dead_in(there, HERE, everybody_lives, now) == left
    assert dead_in(there, HERE, nobody_lives, now) == left


@pytest.mark.parametrize(("silent_seconds", "left"), SILENT)
def test_where_boots_cannot_be_told_apart_it_has_to_be_gone_and_silent(silent_seconds: int, left: float) -> None:
    here, there = replace(HERE, pid_namespace=""), [entry(owner=replace(OWNER, pid_namespace=""))]
    now = NOW + timedelta(seconds=silent_seconds)
    assert dead_in(there, here, everybody_lives, now) is None
    assert dead_in(there, here, nobody_lives, now) == left


def test_a_session_is_as_silent_as_the_last_of_its_journals() -> None:
    later = NOW + timedelta(seconds=30)
    some = [entry(), entry("web", renewed=later)]
    assert silence_left(some, later) == LEASE_SECONDS
    assert silence_left(some, later + timedelta(seconds=LEASE_SECONDS)) == 0


def test_journals_are_judged_by_session() -> None:
    mine, mine_too = entry(), entry("web")
    theirs = entry("db", session="xyz98", owner=replace(OWNER, machine="another"))
    before = entry("api", session="bcd34", owner=replace(OWNER, pid_namespace="another boot pid:[1]"))
    all_of_them = [theirs, mine, before, mine_too]
    assert judge(all_of_them, HERE, nobody_lives, NOW) == Judged(((mine, mine_too),), ((before,),), (theirs,))
    assert judge(all_of_them, HERE, everybody_lives, NOW) == Judged((), ((before,),), (theirs, mine, mine_too))
    assert judge(all_of_them, HERE, nobody_lives, NOW + HOUR).early == ()


def test_what_is_said_of_one_that_may_not_be_undone_yet() -> None:
    words = early_in_words([entry()], NOW + timedelta(seconds=18))
    assert words == (
        "not undone yet: shop/cart, exposed by ada (ada@laptop), since 2026-01-31 12:30 UTC, last seen 18 s ago, before"
        " a restart of this machine or in a container; it may be in 42 s, if it stays silent"
    )


# -- undoing ----------------------------------------------------------------------------------------------------------
def test_a_failure_does_not_stop_the_next() -> None:
    cluster = Cluster()
    first, second = entry(), entry("web", session="xyz98", services=("shop/web",))
    for one in (first, second):
        cluster.workload(one.workload.name, 0)
        write(cluster, one)
    cluster.fails = lambda now, method, path: FORBIDDEN if path.endswith("cart/scale") else ""
    said: list[str] = []
    undone = asyncio.run(undo(cluster.api, [[first], [second]], cluster.clock, said.append))
    assert undone.sessions == {"xyz98"}
    (failure,) = undone.failures
    assert isinstance(failure, KubectlError)
    assert "shop/cart" in failure.message
    assert [cluster.replicas(f"{APPS}/deployments/{name}") for name in ("cart", "web")] == [0, 2]
    assert (f"{LEASES}/localize-deployment-cart" in cluster.objects, cluster.left("xyz98")) == (True, [])
    assert said[:2] == [
        "undoing the exposure of shop/cart that began 2026-01-31 12:30 UTC",
        "undoing the exposure of shop/web that began 2026-01-31 12:30 UTC",
    ]
