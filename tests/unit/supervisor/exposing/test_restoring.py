"""Which journals are a dead session's of ours, where they are looked for, and how several are undone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from kubectl_localize.cluster.exposing.journal import LEASE_SECONDS, Entry
from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.errors import KubectlError, UnreachableError
from kubectl_localize.supervisor.exposing.restoring import Judged, find, is_dead, judge, undo
from tests.unit.cluster.answering import FORBIDDEN
from tests.unit.cluster.samples import CLOSED_PORT
from tests.unit.supervisor.exposing.cluster import APPS, LEASES, Cluster
from tests.unit.supervisor.exposing.samples import HERE, NOW, OWNER, entry, write

EVERYWHERE = "/apis/coordination.k8s.io/v1/leases"


def nobody_lives(pid: int, started: float) -> bool:
    return False


def everybody_lives(pid: int, started: float) -> bool:
    return True


def test_only_a_process_that_is_gone_is_dead() -> None:
    asked: list[tuple[int, float]] = []

    def lives(pid: int, started: float) -> bool:
        asked.append((pid, started))
        return pid == 4711

    assert not is_dead(entry(), HERE, lives, NOW + timedelta(days=30)), "however long it has been silent"
    assert is_dead(entry(owner=replace(OWNER, pid=4712)), HERE, lives, NOW)
    assert asked == [(4711, 5000.0), (4712, 5000.0)]


@pytest.mark.parametrize("foreign", [replace(OWNER, machine="another"), replace(OWNER, uid=1001)])
def test_other_machines_and_other_users_are_never_dead(foreign: object) -> None:
    assert not is_dead(entry(owner=foreign), HERE, nobody_lives, NOW + timedelta(days=30))


@pytest.mark.parametrize(("silent_seconds", "dead"), [(0, False), (LEASE_SECONDS, False), (LEASE_SECONDS + 1, True)])
def test_in_another_pid_namespace_silence_counts(silent_seconds: int, dead: bool) -> None:
    there = entry(owner=replace(OWNER, pid_namespace="pid:[2]"))
    now = NOW + timedelta(seconds=silent_seconds)
    assert is_dead(there, HERE, everybody_lives, now) is dead
    assert is_dead(there, HERE, nobody_lives, now) is dead


def test_journals_are_judged_by_session() -> None:
    mine, mine_too = entry(), entry("web")
    theirs = entry("db", session="xyz98", owner=replace(OWNER, machine="another"))
    assert judge([theirs, mine, mine_too], HERE, nobody_lives, NOW) == Judged(((mine, mine_too),), (theirs,))
    assert judge([theirs, mine], HERE, everybody_lives, NOW) == Judged((), (theirs, mine))


# -- where they are looked for ----------------------------------------------------------------------------------------
def elsewhere(name: str) -> Entry:
    return entry(workload=WorkloadRef("apps/v1", "Deployment", name, "cart"))


def three_namespaces() -> Cluster:
    cluster = Cluster()
    for one in (entry(), elsewhere("other"), elsewhere("secret")):
        write(cluster, one)
    return cluster


def test_the_whole_cluster_where_it_may_be_listed() -> None:
    found, everywhere = asyncio.run(find(three_namespaces().api, ["shop"]))
    assert [one.namespace for one in found] == ["other", "secret", "shop"]
    assert everywhere


def test_else_the_namespaces_that_may_be_listed_each_once() -> None:
    cluster = three_namespaces()
    asked: list[str] = []

    def fails(now: float, method: str, path: str) -> str:
        asked.append(path)
        return FORBIDDEN if path == EVERYWHERE or "/secret/" in path else ""

    cluster.fails = fails
    found, everywhere = asyncio.run(find(cluster.api, ["secret", "shop", "nowhere", "shop"]))
    assert [one.namespace for one in found] == ["shop"]
    assert not everywhere
    assert len(asked) == 4


def test_a_server_that_does_not_answer_is_an_error() -> None:
    cluster = three_namespaces()
    cluster.fails = lambda now, method, path: CLOSED_PORT
    with pytest.raises(UnreachableError):
        asyncio.run(find(cluster.api, ["shop"]))


# -- undoing ----------------------------------------------------------------------------------------------------------
def test_a_failure_does_not_stop_the_next() -> None:
    cluster = Cluster()
    first, second = entry(), entry("web", session="xyz98", services=("shop/web",))
    for one in (first, second):
        cluster.workload(one.workload.name, 0)
        write(cluster, one)
    cluster.fails = lambda now, method, path: FORBIDDEN if path.endswith("cart/scale") else ""
    said: list[str] = []
    (failure,) = asyncio.run(undo(cluster.api, [[first], [second]], cluster.clock, said.append))
    assert isinstance(failure, KubectlError)
    assert "shop/cart" in failure.message
    assert [cluster.replicas(f"{APPS}/deployments/{name}") for name in ("cart", "web")] == [0, 2]
    assert (f"{LEASES}/localize-deployment-cart" in cluster.objects, cluster.left("xyz98")) == (True, [])
    assert said[:2] == [
        "undoing the exposure of shop/cart that began 2026-01-31 12:30 UTC",
        "undoing the exposure of shop/web that began 2026-01-31 12:30 UTC",
    ]
