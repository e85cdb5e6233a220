"""The way back: its order, from wherever the way up was cut, and what others have done meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import Entry, by_hand, journal_at, journals, sessions
from kubectl_localize.cluster.exposing.journal import manifest as journal_manifest
from kubectl_localize.cluster.exposing.values import WorkloadRef, object_name
from kubectl_localize.errors import (
    ConflictError,
    ForbiddenError,
    KubectlError,
    LocalizeError,
    SpawnError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.supervisor.exposing.comeback import last_words
from kubectl_localize.supervisor.exposing.rollback import (
    AWAY_SECONDS,
    QUIET_SECONDS,
    READY_SECONDS,
    SCALE_UP_SECONDS,
    Rollback,
)
from tests.unit.cluster import samples as kubectl_says
from tests.unit.fakes.cluster import APPS, CONFLICT, LEASES, SLICES, Cluster
from tests.unit.fakes.progress import RecordedProgress
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import POD, SECRET, entry, exposure_pod, labels, write

CART = f"{APPS}/deployments/cart"
SCALE = f"{CART}/scale"
LEASE = f"{LEASES}/localize-deployment-cart"


def exposed(*, ready: bool = True, replicas: int = 0) -> Cluster:
    """Service and Deployment cart, exposed."""
    cluster = Cluster()
    cluster.workload("cart", replicas)
    write(cluster, entry())
    cluster.put(SECRET, {"metadata": {"labels": labels()}})
    cluster.put(POD, exposure_pod(ready))
    cluster.slice("cart")
    cluster.story.clear()
    return cluster


def bring_back(cluster: Cluster, entries: Sequence[Entry] = ()) -> list[str]:
    """Go the way back; what was said."""
    progress = RecordedProgress()
    asyncio.run(Rollback(cluster.api, entries or [entry()], cluster.clock, progress).run())
    return progress.steps


# -- the order --------------------------------------------------------------------------------------------------------
def test_the_order_leaves_no_gap() -> None:
    cluster = exposed()
    said = bring_back(cluster)
    assert cluster.changes == [
        "PUT deployments/cart/scale",
        "endpoints of cart: 2 and 1 of ours",
        "DELETE pods/localize-cart-abc12",
        "endpoints of cart: 2 and 0 of ours",
        "DELETE secrets/localize-abc12",
        "DELETE leases/localize-deployment-cart",
    ]
    pod_deleted = cluster.at("DELETE pods/localize-cart-abc12")
    assert pod_deleted - cluster.at("endpoints of cart: 2 and 1 of ours") >= QUIET_SECONDS
    assert cluster.at("DELETE secrets/localize-abc12") - pod_deleted >= cluster.leaving_seconds
    assert (cluster.replicas(CART), cluster.left("abc12")) == (2, [])
    assert said == [
        "Deployment shop/cart scaled up to 2", "Deployment shop/cart: 2 of 2 pods Ready", "exposure pod deleted"
    ]  # fmt: skip


def test_it_says_what_it_waits_for() -> None:
    cluster = exposed()
    progress = RecordedProgress()
    asyncio.run(Rollback(cluster.api, [entry()], cluster.clock, progress).run())
    assert list(dict.fromkeys(progress.waits)) == [
        "waiting for the pods of Deployment shop/cart: 0 of 2 Ready",
        "waiting until the cluster sends to these pods",
        "the exposure pod localize-cart-abc12 is ending",
    ]


def test_it_is_over_soon_after_the_pods_are_ready() -> None:
    """The pod's own end aside: here its object stays for three seconds, as its preStop hook does."""
    cluster = exposed()
    asyncio.run(Rollback(cluster.api, [entry()], cluster.clock, RecordedProgress()).run())
    ready = cluster.at("endpoints of cart: 2 and 1 of ours")
    assert cluster.at("DELETE leases/localize-deployment-cart") - ready < cluster.leaving_seconds + 2


def test_what_is_back_is_told_with_its_pods() -> None:
    cluster = exposed()
    (comeback,) = asyncio.run(Rollback(cluster.api, [entry()], cluster.clock, RecordedProgress()).run())
    assert last_words([comeback]) == ["shop/cart is back, 2 of 2 Ready"]


def test_every_service_of_the_session_has_other_pods_before_ours_goes() -> None:
    cluster = exposed()
    cluster.workload("web", 0)
    cluster.slice("web")
    both = ("shop/cart", "shop/web")
    entries = [entry(services=both), entry("web", services=both, replicas=1)]
    write(cluster, entries[1])
    cluster.story.clear()
    bring_back(cluster, entries)
    assert cluster.changes[:2] == ["PUT deployments/cart/scale", "PUT deployments/web/scale"]
    assert cluster.changes[-2:] == [
        "DELETE leases/localize-deployment-cart", "DELETE leases/localize-deployment-web"
    ]  # fmt: skip
    pod_deleted = cluster.at("DELETE pods/localize-cart-abc12")
    for published in ("endpoints of cart: 2 and 1 of ours", "endpoints of web: 1 and 1 of ours"):
        assert pod_deleted - cluster.at(published) >= QUIET_SECONDS
    assert cluster.left("abc12") == []


def test_pods_that_somebody_else_has_brought_back_are_waited_for_as_well() -> None:
    cluster = exposed()
    cluster.scale(CART, 2)
    bring_back(cluster)
    assert cluster.changes[:2] == ["endpoints of cart: 2 and 1 of ours", "DELETE pods/localize-cart-abc12"]
    assert cluster.story[1][0] - cluster.story[0][0] >= QUIET_SECONDS


def test_endpoints_that_change_are_waited_for() -> None:
    cluster = exposed(replicas=2)
    moved: list[float] = []

    def rolling_update(now: float, method: str, path: str) -> str:
        if method == "GET" and "endpointslices" in path and now < 5:
            cluster.slice("cart")  # a new resourceVersion
            moved.append(now)
        return ""

    cluster.fails = rolling_update
    bring_back(cluster)
    assert cluster.at("DELETE pods/localize-cart-abc12") - moved[-1] >= QUIET_SECONDS


# -- from wherever it was cut -----------------------------------------------------------------------------------------
def nothing(cluster: Cluster) -> None:
    """Not even the journal was written, or its answer was lost."""


def journal_only(cluster: Cluster) -> None:
    write(cluster, entry())


def secret(cluster: Cluster) -> None:
    journal_only(cluster)
    cluster.put(SECRET, {"metadata": {"labels": labels()}})


def pod_starts(cluster: Cluster) -> None:
    secret(cluster)
    cluster.put(POD, exposure_pod(ready=False))


def pod_ready(cluster: Cluster) -> None:
    secret(cluster)
    cluster.put(POD, exposure_pod())


def scaled_down(cluster: Cluster) -> None:
    pod_ready(cluster)
    cluster.scale(CART, 0)


def pod_lost(cluster: Cluster) -> None:
    secret(cluster)
    cluster.scale(CART, 0)


def pod_going(cluster: Cluster) -> None:
    pod_ready(cluster)
    cluster.objects[POD]["metadata"]["deletionTimestamp"] = 2.0


def only_the_pod_left(cluster: Cluster) -> None:
    cluster.put(POD, exposure_pod())


@pytest.mark.parametrize(
    "way",
    [nothing, journal_only, secret, pod_starts, pod_ready, scaled_down, pod_lost, pod_going, only_the_pod_left],
)
def test_every_way_is_undone_and_undoing_it_twice_does_no_harm(way: Callable[[Cluster], None]) -> None:
    cluster = Cluster()
    cluster.workload("cart", 2)
    way(cluster)
    cluster.slice("cart")
    bring_back(cluster)
    assert (cluster.replicas(CART), cluster.left("abc12")) == (2, [])
    cluster.story.clear()
    bring_back(cluster)
    assert cluster.story == []


@pytest.mark.parametrize("killed_at", range(5))
def test_a_way_back_that_is_cut_is_gone_on_with(killed_at: int) -> None:
    cluster = exposed()
    left = [killed_at]

    def killed(now: float, method: str, path: str) -> str:
        if method == "GET" or left[0] < 0:
            return ""
        left[0] -= 1
        return FORBIDDEN if left[0] < 0 else ""

    cluster.fails = killed
    if killed_at < 4:  # it takes four changes
        with pytest.raises(ForbiddenError):
            bring_back(cluster)
        assert LEASE in cluster.objects
    bring_back(cluster)
    assert (cluster.replicas(CART), cluster.left("abc12")) == (2, [])


def test_a_pod_that_serves_nobody_goes_at_once() -> None:
    cluster = exposed(ready=False, replicas=2)
    bring_back(cluster)
    gone = cluster.at("DELETE secrets/localize-abc12") - cluster.at("DELETE pods/localize-cart-abc12")
    assert gone < cluster.leaving_seconds


def test_without_a_pod_only_the_workload_is_waited_for() -> None:
    cluster = exposed()
    del cluster.objects[POD]
    assert bring_back(cluster)[-1] == "Deployment shop/cart: 2 of 2 pods Ready"
    assert cluster.now < cluster.at("endpoints of cart: 2 and 0 of ours") + QUIET_SECONDS


def test_with_keep_no_workload_is_touched() -> None:
    cluster = exposed()
    kept = entry(workload=WorkloadRef("v1", "Service", "shop", "cart"), replicas=None)
    del cluster.objects[LEASE]
    write(cluster, kept)
    bring_back(cluster, [kept])
    assert cluster.replicas(CART) == 0
    assert cluster.left("abc12") == []
    assert not any(change.startswith("PUT") for change in cluster.changes)


# -- what others have done --------------------------------------------------------------------------------------------
def test_the_count_of_others_wins_and_is_said() -> None:
    cluster = exposed(replicas=5)
    said = bring_back(cluster)
    assert cluster.replicas(CART) == 5
    assert cluster.left("abc12") == []
    assert said[0] == "Deployment shop/cart stays at 5: somebody else has scaled it (it had 2)"


def test_a_deleted_workload_is_said_and_the_rest_undone() -> None:
    cluster = exposed()
    del cluster.objects[CART]
    said = bring_back(cluster)
    assert said[0] == "Deployment shop/cart is gone: somebody has deleted it"
    assert cluster.left("abc12") == []


def test_a_namesake_of_a_deleted_workload_is_not_scaled() -> None:
    cluster = exposed()
    cluster.objects[CART]["metadata"]["uid"] = "made-anew"
    bring_back(cluster)
    assert cluster.replicas(CART) == 0
    assert cluster.left("abc12") == []


def test_what_another_session_holds_is_left_alone() -> None:
    cluster = exposed()
    colleague = entry(session="xyz98")
    write(cluster, colleague)
    bring_back(cluster)
    assert cluster.replicas(CART) == 0, "their exposure has it at zero"
    there = asyncio.run(journal_at(cluster.api, LEASE))
    assert there is not None
    assert there.session == "xyz98"
    assert cluster.left("abc12") == []


def test_somebody_scales_in_the_middle() -> None:
    cluster = exposed()

    def race(now: float, method: str, path: str) -> str:
        if method == "PUT" and not cluster.replicas(CART):
            cluster.scale(CART, 4)
            return CONFLICT
        return ""

    cluster.fails = race
    bring_back(cluster)
    assert cluster.replicas(CART) == 4
    assert cluster.left("abc12") == []


def test_a_workload_that_changes_all_the_time_keeps_its_journal() -> None:
    cluster = exposed()
    cluster.fails = lambda now, method, path: CONFLICT if method == "PUT" else ""
    with pytest.raises(ConflictError, match="Deployment shop/cart could not be brought back: the object has been"):
        bring_back(cluster)
    assert SCALE_UP_SECONDS < cluster.now < SCALE_UP_SECONDS + 5
    assert {POD, SECRET, LEASE} <= cluster.objects.keys()


def test_a_workload_that_never_gets_ready_is_said_and_does_not_hold_it_up_for_ever() -> None:
    cluster = exposed()
    cluster.ready_seconds = float("inf")
    progress = RecordedProgress()
    comebacks = asyncio.run(Rollback(cluster.api, [entry()], cluster.clock, progress).run())
    assert progress.missed_waits == ["Deployment shop/cart: only 0 of 2 pods Ready after 120 s; going on"]
    assert progress.steps == ["Deployment shop/cart scaled up to 2", "exposure pod deleted"]
    assert [(comeback.ready, comeback.wanted, comeback.is_complete) for comeback in comebacks] == [(0, 2, False)]
    assert cluster.left("abc12") == []
    assert READY_SECONDS < cluster.now < READY_SECONDS + 10, "it does not wait for endpoints, too"


def test_ready_pods_that_are_no_endpoint_are_said() -> None:
    cluster = exposed()
    cluster.objects[f"{SLICES}/cart"]["metadata"]["labels"]["kubernetes.io/service-name"] = "nobody"
    cluster.workload("nobody", 0)
    progress = RecordedProgress()
    asyncio.run(Rollback(cluster.api, [entry()], cluster.clock, progress).run())
    assert progress.missed_waits == ["shop/cart: only our pod is an endpoint after 60 s; going on"]
    assert cluster.left("abc12") == []


def test_a_pod_that_does_not_go_keeps_secret_and_journal() -> None:
    cluster = exposed()
    cluster.leaving_seconds = float("inf")
    with pytest.raises(LocalizeError, match="pod localize-cart-abc12 does not go away"):
        bring_back(cluster)
    assert {SECRET, LEASE} <= cluster.objects.keys()
    assert cluster.changes.count("DELETE pods/localize-cart-abc12") == 1


# -- the API server is away -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("away_from", [0.0, 1.0, 3.5, 5.0, 6.0])
def test_a_server_that_is_away_for_a_while_only_delays_it(away_from: float) -> None:
    cluster = exposed()
    away = (away_from, away_from + AWAY_SECONDS - 5)
    cluster.fails = lambda now, method, path: kubectl_says.NO_ROUTE if away[0] <= now < away[1] else ""
    bring_back(cluster)
    assert cluster.now >= away[1]
    assert (cluster.replicas(CART), cluster.left("abc12")) == (2, [])


def test_a_server_that_is_away_for_a_moment_while_a_pod_takes_its_time() -> None:
    cluster = exposed(replicas=2)
    cluster.leaving_seconds = 2 * AWAY_SECONDS
    away = (AWAY_SECONDS + 5, AWAY_SECONDS + 8)
    cluster.fails = lambda now, method, path: kubectl_says.CLOSED_PORT if away[0] <= now < away[1] else ""
    bring_back(cluster)
    assert cluster.left("abc12") == []


def test_a_server_that_is_away_for_long_is_left_to_restore() -> None:
    cluster = exposed()
    cluster.fails = lambda now, method, path: kubectl_says.NO_ROUTE if now > 1 else ""
    with pytest.raises(UnreachableError, match="Deployment shop/cart could not be brought back") as caught:
        bring_back(cluster)
    assert "`kubectl localize restore`" in caught.value.hint
    assert cluster.now < AWAY_SECONDS + 5
    assert {POD, SECRET, LEASE} <= cluster.objects.keys()


TROUBLE = {
    "new leader": (kubectl_says.NEW_LEADER, KubectlError),
    "slow etcd": (kubectl_says.SLOW_ETCD, KubectlError),
    "internal": (kubectl_says.INTERNAL, KubectlError),
    "webhook": (kubectl_says.WEBHOOK_AWAY, KubectlError),
    "overloaded": (kubectl_says.OVERLOADED, KubectlError),
    "timeout": (kubectl_says.SERVER_TIMEOUT, KubectlError),
    "token": (kubectl_says.UNAUTHORIZED, UnauthorizedError),
}


@pytest.mark.parametrize("words", [words for words, _ in TROUBLE.values()], ids=TROUBLE)
@pytest.mark.parametrize("step", ["GET", "PUT", "DELETE"])
def test_a_server_that_is_in_trouble_for_a_while_only_delays_it(step: str, words: str) -> None:
    cluster = exposed()
    began: dict[str, float] = {}

    def trouble(now: float, method: str, path: str) -> str:
        return words if method == step and now - began.setdefault(path, now) < 5 else ""

    cluster.fails = trouble
    bring_back(cluster)
    assert (cluster.replicas(CART), cluster.left("abc12")) == (2, [])
    assert began, "it was in trouble"


@pytest.mark.parametrize(("words", "kind"), TROUBLE.values(), ids=TROUBLE)
def test_trouble_that_does_not_end_is_told_with_what_to_do(words: str, kind: type[KubectlError]) -> None:
    cluster = exposed()
    cluster.fails = lambda now, method, path: words if path == SCALE else ""
    with pytest.raises(kind, match="Deployment shop/cart could not be brought back") as caught:
        bring_back(cluster)
    assert "`kubectl localize restore` when the API server works again" in caught.value.hint
    assert SCALE_UP_SECONDS < cluster.now < SCALE_UP_SECONDS + 5
    assert {POD, SECRET, LEASE} <= cluster.objects.keys()


def test_a_kubectl_that_cannot_be_started_for_a_moment_only_delays_it() -> None:
    cluster = exposed()
    failing = [SpawnError("kubectl cannot be started: Text file busy"), SpawnError("no process is left")]

    class Starting:
        async def request(
            self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
        ) -> dict[str, Any]:
            if failing and cluster.replicas(CART) == 0 and "/scale" in path:
                raise failing.pop()
            return await cluster.request(method, path, body)

    api = Api(kubectl_says.CONNECTION, Starting())
    asyncio.run(Rollback(api, [entry()], cluster.clock, RecordedProgress()).run())
    assert (failing, cluster.replicas(CART), cluster.left("abc12")) == ([], 2, [])


@pytest.mark.parametrize("words", [kubectl_says.DENIED_BY_WEBHOOK, kubectl_says.BAD_SELECTOR])
def test_what_is_refused_is_not_asked_for_again(words: str) -> None:
    cluster = exposed()
    cluster.fails = lambda now, method, path: words if path == SCALE else ""
    with pytest.raises(KubectlError, match="Deployment shop/cart could not be brought back") as caught:
        bring_back(cluster)
    assert "run `kubectl localize restore`;" in caught.value.hint
    assert cluster.now == 0


def test_what_is_forbidden_by_now_is_told_how_to_do_by_hand() -> None:
    cluster = exposed()
    cluster.fails = lambda now, method, path: FORBIDDEN if path == SCALE else ""
    with pytest.raises(ForbiddenError, match="Deployment shop/cart could not be brought back") as caught:
        bring_back(cluster)
    assert by_hand([entry()]) in caught.value.hint
    assert cluster.story == []


# -- names and journals -----------------------------------------------------------------------------------------------
def test_by_hand_scales_up_before_it_deletes() -> None:
    stateful = entry(workload=WorkloadRef("apps/v1", "StatefulSet", "shop", "db"), replicas=3)
    kept = entry(workload=WorkloadRef("v1", "Service", "shop", "web"), replicas=None)
    assert by_hand([entry(), stateful, kept]) == (
        "kubectl scale -n shop deployment/cart --replicas=2 && kubectl scale -n shop statefulset/db --replicas=3"
        " && kubectl delete -n shop pod,secret,lease -l kubectl-localize/session=abc12"
    )
    assert object_name("abc12") == "localize-abc12"


def test_journals_are_found_in_some_namespaces_or_in_all() -> None:
    cluster = Cluster()
    write(cluster, entry("web", session="xyz98"))
    write(cluster, entry())
    cluster.put(f"{LEASES}/somebody-elses", {"metadata": {"labels": labels()}, "spec": {}})
    cluster.put(f"{LEASES}/of-a-controller", {"metadata": {}, "spec": {"holderIdentity": "me"}})
    elsewhere = entry(workload=WorkloadRef("apps/v1", "Deployment", "other", "cart"))
    cluster.put(elsewhere.path, journal_manifest(elsewhere))
    found = asyncio.run(journals(cluster.api, []))
    assert [journal_entry.path for journal_entry in found] == sorted(
        journal_entry.path for journal_entry in (entry(), entry("web"), elsewhere)
    )
    assert [journal_entry.name for journal_entry in asyncio.run(journals(cluster.api, ["shop"]))] == [
        "localize-deployment-cart", "localize-deployment-web"
    ]  # fmt: skip
    assert [journal_entry.namespace for journal_entry in asyncio.run(journals(cluster.api, ["other", "nowhere"]))] == [
        "other"
    ]
    assert asyncio.run(journal_at(cluster.api, f"{LEASES}/somebody-elses")) is None
    assert asyncio.run(journal_at(cluster.api, f"{LEASES}/none")) is None


def test_the_journals_of_a_session_belong_together() -> None:
    other = entry(session="xyz98")
    elsewhere = entry(workload=WorkloadRef("apps/v1", "Deployment", "other", "cart"))
    assert sessions([entry(), other, elsewhere, entry("web")]) == [[entry(), entry("web")], [other], [elsewhere]]


def test_a_workload_that_cannot_be_scaled_up_keeps_no_other_at_zero() -> None:
    cluster = exposed()
    web = cluster.workload("web", 0)
    write(cluster, entry("web"))
    cluster.fails = lambda now, method, path: FORBIDDEN if path == SCALE else ""
    with pytest.raises(ForbiddenError, match="could not be brought back"):
        bring_back(cluster, [entry(), entry("web")])
    assert (cluster.replicas(CART), cluster.replicas(web)) == (0, 2)
