"""The replaced workloads: nobody's scaling is fought, on the way up as little as later."""

from __future__ import annotations

import asyncio
import copy
import time
from dataclasses import replace

import pytest

from kubectl_localize.cluster.exposing.values import Workload, WorkloadRef
from kubectl_localize.errors import ForbiddenError, LocalizeError, UnreachableError
from kubectl_localize.supervisor.exposing.rollback import Rollback
from kubectl_localize.supervisor.exposing.scaled_workloads import ASK_SECONDS, ScaledWorkloads
from kubectl_localize.supervisor.exposing.waiter import Waiter
from kubectl_localize.timing import Notifier
from tests.unit.cluster.samples import NO_ROUTE
from tests.unit.fakes.cluster import APPS, Cluster
from tests.unit.fakes.progress import RecordedProgress
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import entry, write

CART, WEB = f"{APPS}/deployments/cart", f"{APPS}/deployments/web"
ENTRIES = [entry(), entry("web", replicas=1)]


def waiter() -> Waiter:
    """Nothing ends it."""
    return Waiter(Notifier(), time.monotonic)


def stage() -> tuple[Cluster, ScaledWorkloads]:
    """Two Deployments with their journals, not scaled yet."""
    cluster = Cluster()
    for one in ENTRIES:
        cluster.workload(one.workload.name, one.replicas or 0)
        write(cluster, one)
    cluster.story.clear()
    found = {one.workload: copy.deepcopy(cluster.objects[one.workload.path]) for one in ENTRIES}
    workloads = [Workload(one.workload, one.uid, one.replicas or 0, found[one.workload]) for one in ENTRIES]
    return cluster, ScaledWorkloads(cluster.api, workloads, cluster.clock)


def undo(cluster: Cluster, replaced: ScaledWorkloads) -> list[str]:
    """Go the way back; what was said."""
    progress = RecordedProgress()
    asyncio.run(Rollback(cluster.api, replaced.to_undo(ENTRIES), cluster.clock, progress).run())
    return progress.steps


def listen(cluster: Cluster) -> list[str]:
    """All requests from now on."""
    asked: list[str] = []

    def hear(now: float, method: str, path: str) -> str:
        asked.append(f"{method} {path}")
        return ""

    cluster.fails = hear
    return asked


def counts(cluster: Cluster) -> tuple[int, int]:
    return cluster.replicas(CART), cluster.replicas(WEB)


def test_all_of_them_are_scaled_down_and_brought_back() -> None:
    cluster, replaced = stage()
    asked = listen(cluster)
    said = asyncio.run(replaced.scale_down(waiter()))
    assert asked == [f"PUT {CART}/scale", f"PUT {WEB}/scale"], "they were looked at by the checks"
    assert said == "Deployment shop/cart (2), Deployment shop/web (1) scaled down"
    assert counts(cluster) == (0, 0)
    assert replaced.to_undo(ENTRIES) == ENTRIES
    undo(cluster, replaced)
    assert (counts(cluster), cluster.left("abc12")) == ((2, 1), [])


@pytest.mark.parametrize("theirs", [0, 5])
def test_what_a_colleague_scales_before_us_is_left_as_they_want_it(theirs: int) -> None:
    cluster, replaced = stage()
    cluster.scale(WEB, theirs)
    with pytest.raises(LocalizeError, match="somebody else is scaling Deployment shop/web right now"):
        asyncio.run(replaced.scale_down(waiter()))
    undo(cluster, replaced)
    assert (counts(cluster), cluster.left("abc12")) == ((2, theirs), [])


def test_what_a_colleague_scales_to_zero_in_the_very_moment_stays_at_zero() -> None:
    cluster, replaced = stage()

    cluster.scale(WEB, 1)  # no other count, but another version: it is looked at once more
    puts: list[str] = []

    def race(now: float, method: str, path: str) -> str:
        if method == "PUT" and "web" in path:
            puts.append(path)
            if len(puts) == 2:
                cluster.scale(WEB, 0)
        return ""

    cluster.fails = race
    with pytest.raises(LocalizeError, match="somebody else is scaling Deployment shop/web"):
        asyncio.run(replaced.scale_down(waiter()))
    assert len(puts) == 2
    cluster.fails = lambda now, method, path: ""
    undo(cluster, replaced)
    assert (counts(cluster), cluster.left("abc12")) == ((2, 0), [])


def test_a_workload_that_somebody_changes_after_the_checks_is_not_scaled() -> None:
    cluster, replaced = stage()
    cluster.put(WEB, cluster.objects[WEB])  # its status has changed
    cluster.objects[CART]["metadata"]["generation"] = 2
    cluster.put(CART, cluster.objects[CART])  # a rollout has begun, and its count is the same
    with pytest.raises(LocalizeError, match="somebody else has changed Deployment shop/cart just now"):
        asyncio.run(replaced.scale_down(waiter()))
    undo(cluster, replaced)
    assert (counts(cluster), cluster.left("abc12")) == ((2, 1), [])


def test_what_was_never_reached_is_not_touched() -> None:
    cluster, replaced = stage()
    cluster.scale(CART, 0)
    said = undo(cluster, replaced)
    assert (counts(cluster), cluster.left("abc12"), said) == ((0, 1), [], [])


def test_where_the_answer_is_lost_it_may_have_been_scaled() -> None:
    cluster, replaced = stage()

    def lost(now: float, method: str, path: str) -> str:
        if method == "PUT":
            cluster.scale(CART, 0)
            return NO_ROUTE
        return ""

    cluster.fails = lost
    with pytest.raises(UnreachableError):
        asyncio.run(replaced.scale_down(waiter()))
    cluster.fails = lambda now, method, path: ""
    undo(cluster, replaced)
    assert counts(cluster) == (2, 1)


@pytest.mark.parametrize("arrives", [0.0, 5.0, 40.0])
def test_a_request_to_scale_down_that_arrives_on_the_way_back_is_undone(arrives: float) -> None:
    """Its answer was lost, so it may have been done already, or be on its way still."""
    cluster, replaced = stage()

    def held_up(now: float, method: str, path: str) -> str:
        return NO_ROUTE if method == "PUT" and path == f"{CART}/scale" else ""

    cluster.fails = held_up
    with pytest.raises(UnreachableError):
        asyncio.run(replaced.scale_down(waiter()))
    assert replaced.unanswered == {ENTRIES[0].workload}
    came: list[float] = []

    def come(now: float, method: str, path: str) -> str:
        if now >= arrives and not came:
            came.append(now)
            cluster.scale(CART, 0)
        return ""

    cluster.fails = come
    progress = RecordedProgress()
    entries = replaced.to_undo(ENTRIES)
    rollback = Rollback(cluster.api, entries, cluster.clock, progress, unanswered=replaced.unanswered)
    asyncio.run(rollback.run())
    assert came
    assert counts(cluster) == (2, 1)
    assert cluster.left("abc12") == []


def test_a_refused_request_to_scale_down_cannot_come_late() -> None:
    cluster, replaced = stage()
    cluster.fails = lambda now, method, path: FORBIDDEN if method == "PUT" else ""
    with pytest.raises(ForbiddenError):
        asyncio.run(replaced.scale_down(waiter()))
    assert replaced.unanswered == set()


def changed(cluster: Cluster, replaced: ScaledWorkloads) -> str:
    """What is said when it is time to ask again."""
    cluster.now += ASK_SECONDS
    return asyncio.run(replaced.changed_by_others())


def test_what_others_make_of_them_meanwhile() -> None:
    cluster, replaced = stage()
    asyncio.run(replaced.scale_down(waiter()))
    assert changed(cluster, replaced) == ""
    cluster.scale(WEB, 3)
    assert changed(cluster, replaced) == "scaled to 3 by others"
    cluster.fails = lambda now, method, path: NO_ROUTE
    assert changed(cluster, replaced) == ""
    cluster.fails = lambda now, method, path: ""
    del cluster.objects[CART]
    assert changed(cluster, replaced) == "Deployment shop/cart was deleted by others and will not be brought back"


def test_a_namesake_of_a_deleted_workload_is_not_taken_for_it() -> None:
    cluster, replaced = stage()
    asyncio.run(replaced.scale_down(waiter()))
    cluster.objects[WEB]["metadata"]["uid"] = "made-anew"
    assert changed(cluster, replaced) == "Deployment shop/web was deleted by others and will not be brought back"


def test_the_cluster_is_not_asked_at_every_change() -> None:
    cluster, replaced = stage()
    asked = listen(cluster)
    for _ in range(5):
        asyncio.run(replaced.changed_by_others())
    assert len(asked) == len(ENTRIES)


def test_a_workload_is_known_by_all_of_its_name() -> None:
    _, replaced = stage()
    asyncio.run(replaced.scale_down(waiter()))
    other = entry(workload=WorkloadRef("apps/v1", "StatefulSet", "shop", "cart"))
    assert replaced.to_undo([other]) == [replace(other, replicas=None)]
