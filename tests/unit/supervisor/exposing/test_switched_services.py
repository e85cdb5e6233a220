"""Services are switched to an exposure pod and back, and others who change them at the same moment win."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.values import SwitchedService, WorkloadRef
from kubectl_localize.errors import ForbiddenError, KubectlError, LocalizeError, UnreachableError
from kubectl_localize.supervisor.exposing.rollback import GONE_SECONDS, Rollback
from kubectl_localize.supervisor.exposing.switched_services import ATTEMPTS, SwitchedServices
from kubectl_localize.supervisor.exposing.waiter import EndingError, Waiter
from kubectl_localize.timing import Notifier
from tests.unit.cluster.samples import NO_ROUTE
from tests.unit.fakes.cluster import CONFLICT, CORE, Cluster
from tests.unit.fakes.progress import RecordedProgress
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import POD, SECRET, entry, exposure_pod, labels, write

HELM = {"manager": "helm"}
READY = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
REF = WorkloadRef("v1", "Service", "shop", "cart")
CART = f"{CORE}/services/cart"
ORIGINAL = {"app": "cart", "tier": "front"}
OURS = {"app": "localize-abc12", "tier": "localize-abc12"}


def cluster_with(selector: Mapping[str, str]) -> Cluster:
    """A Service that selects by this."""
    cluster = Cluster()
    cluster.put(CART, {"metadata": {"managedFields": [HELM]}, "spec": {"selector": dict(selector)}})
    return cluster


def managers(cluster: Cluster) -> list[dict[str, str]]:
    """Who manages fields of the Service."""
    return list(cluster.objects[CART]["metadata"]["managedFields"])


def selector(cluster: Cluster) -> dict[str, str]:
    """What the Service selects by."""
    return dict(cluster.objects[CART]["spec"]["selector"])


def switched_services(cluster: Cluster) -> SwitchedServices:
    """Of a plan that was made from the cluster as it is."""
    meta = cluster.objects[CART]["metadata"]
    service = SwitchedService(REF, meta["uid"], meta["resourceVersion"], tuple(sorted(ORIGINAL.items())))
    return SwitchedServices(cluster.api, [service], "abc12")


def waiter(cluster: Cluster) -> Waiter:
    return Waiter(Notifier(), lambda: cluster.now)


def journal() -> Entry:
    """The journal of the switched Service."""
    return entry(workload=REF, uid="", replicas=None, selector=tuple(sorted(ORIGINAL.items())))


def bring_back(cluster: Cluster) -> list[str]:
    """Go the way back; what was said."""
    progress = RecordedProgress()
    asyncio.run(Rollback(cluster.api, [journal()], cluster.clock, progress).run())
    return progress.steps


# -- there ------------------------------------------------------------------------------------------------------------
def test_one_patch_there_and_one_that_leaves_the_selector_to_others() -> None:
    cluster = cluster_with(ORIGINAL)
    said = asyncio.run(switched_services(cluster).switch(waiter(cluster)))
    assert said == "Service shop/cart switched to the exposure pod"
    assert (selector(cluster), cluster.changes) == (OURS, ["PATCH services/cart"] * 2)
    assert managers(cluster) == [HELM]


def test_a_selector_that_cannot_be_left_to_others_is_switched_all_the_same() -> None:
    cluster = cluster_with(ORIGINAL)
    patches = iter([""])
    cluster.fails = lambda now, method, path: next(patches, CONFLICT) if method == "PATCH" else ""
    asyncio.run(switched_services(cluster).switch(waiter(cluster)))
    assert selector(cluster) == OURS


def test_a_change_of_something_else_is_no_reason_to_stop() -> None:
    cluster = cluster_with(ORIGINAL)
    services = switched_services(cluster)
    cluster.objects[CART]["status"] = {"loadBalancer": {}}
    cluster.put(CART, cluster.objects[CART])
    asyncio.run(services.switch(waiter(cluster)))
    assert selector(cluster) == OURS


@pytest.mark.parametrize(("other", "words"), [({"app": "other"}, "app=other"), ({}, "nothing")])
def test_somebody_else_has_just_changed_the_selector(other: dict[str, str], words: str) -> None:
    cluster = cluster_with(ORIGINAL)
    services = switched_services(cluster)
    cluster.put(CART, {"spec": {"selector": other}})
    with pytest.raises(LocalizeError, match=f"it selects {words}"):
        asyncio.run(services.switch(waiter(cluster)))
    assert (selector(cluster), cluster.changes) == (other, [])


@pytest.mark.parametrize("anew", [False, True])
def test_a_service_that_was_deleted_meanwhile(anew: bool) -> None:
    cluster = cluster_with(ORIGINAL)
    services = switched_services(cluster)
    del cluster.objects[CART]
    if anew:
        cluster.put(CART, {"spec": {"selector": ORIGINAL}})
    with pytest.raises((LocalizeError, KubectlError)):
        asyncio.run(services.switch(waiter(cluster)))
    assert cluster.changes == []


def test_others_who_never_leave_off() -> None:
    cluster = cluster_with(ORIGINAL)
    services = switched_services(cluster)
    cluster.fails = lambda now, method, path: CONFLICT if method == "PATCH" else ""
    with pytest.raises(LocalizeError, match="all the time"):
        asyncio.run(services.switch(waiter(cluster)))


def test_nothing_is_switched_by_an_exposure_that_is_to_end() -> None:
    cluster = cluster_with(ORIGINAL)
    ending = waiter(cluster)
    ending.end()
    with pytest.raises(EndingError):
        asyncio.run(switched_services(cluster).switch(ending))
    assert cluster.changes == []


def unanswered(cluster: Cluster) -> SwitchedServices:
    """Services that were to be switched by a request whose answer was lost."""
    services = switched_services(cluster)
    cluster.fails = lambda now, method, path: NO_ROUTE if method == "PATCH" else ""
    with pytest.raises(UnreachableError):
        asyncio.run(services.switch(waiter(cluster)))
    return services


@pytest.mark.parametrize("arrives", [0.0, 5.0, 40.0])
def test_a_request_to_switch_that_arrives_on_the_way_back_is_undone(arrives: float) -> None:
    """Else the Service would lead to a pod that is gone, and no journal would say so."""
    cluster = cluster_with(ORIGINAL)
    write(cluster, journal())
    services = unanswered(cluster)
    came: list[float] = []

    def come(now: float, method: str, path: str) -> str:
        if now >= arrives and not came:
            came.append(now)
            cluster.put(CART, {"metadata": {"managedFields": [HELM]}, "spec": {"selector": dict(OURS)}})
        return ""

    cluster.fails = come
    rollback = Rollback(cluster.api, [journal()], cluster.clock, RecordedProgress(), unanswered=services.unanswered)
    asyncio.run(rollback.run())
    assert came
    assert (selector(cluster), cluster.left("abc12")) == (ORIGINAL, [])


def test_a_refused_request_to_switch_cannot_come_late() -> None:
    cluster = cluster_with(ORIGINAL)
    services = switched_services(cluster)
    cluster.fails = lambda now, method, path: FORBIDDEN if method == "PATCH" else ""
    with pytest.raises(ForbiddenError):
        asyncio.run(services.switch(waiter(cluster)))
    assert services.unanswered == set()


# -- while it lives ---------------------------------------------------------------------------------------------------
def let_others_win(cluster: Cluster) -> list[str]:
    services = SwitchedServices(cluster.api, [SwitchedService(REF, "1", "1", tuple(sorted(ORIGINAL.items())))], "abc12")
    return asyncio.run(services.let_others_win(lambda key: cluster.objects.get(CART)))


@pytest.mark.parametrize("current", [OURS, ORIGINAL, {"app": "green"}, {}])
def test_a_selector_that_is_ours_or_theirs_as_a_whole_is_left_alone(current: dict[str, str]) -> None:
    cluster = cluster_with(current)
    assert (let_others_win(cluster), cluster.changes) == ([], [])


def test_a_selector_that_is_theirs_in_part_becomes_theirs_as_a_whole() -> None:
    cluster = cluster_with({**OURS, "tier": "back"})
    (sentence,) = let_others_win(cluster)
    assert sentence == "somebody else has changed the selector of Service shop/cart, which is app=cart,tier=back now"
    assert selector(cluster) == {"app": "cart", "tier": "back"}


def test_a_service_that_is_gone_is_not_made_anew() -> None:
    cluster = Cluster()
    assert (let_others_win(cluster), cluster.changes) == ([], [])


# -- and back ---------------------------------------------------------------------------------------------------------
def test_the_selector_is_put_back_first_and_the_pod_goes_when_others_serve() -> None:
    cluster = cluster_with(OURS)
    cluster.workload("cart", 2)
    write(cluster, journal())
    cluster.put(SECRET, {"metadata": {"labels": labels()}})
    cluster.put(POD, exposure_pod())
    cluster.slice("cart")
    for number in range(2):
        cluster.put(f"{CORE}/pods/cart-{number}", {"metadata": {"labels": ORIGINAL}, **READY})
    cluster.story.clear()
    said = bring_back(cluster)
    assert cluster.changes == [
        "PATCH services/cart",
        "PATCH services/cart",
        "DELETE pods/localize-cart-abc12",
        "endpoints of cart: 2 and 0 of ours",
        "DELETE secrets/localize-abc12",
        "DELETE leases/localize-service-cart",
    ]
    assert said == ["Service shop/cart selects app=cart,tier=front again", "exposure pod deleted"]
    assert (selector(cluster), cluster.left("abc12"), managers(cluster)) == (ORIGINAL, [], [HELM])
    cluster.story.clear()
    bring_back(cluster)
    assert cluster.story == [], "twice does no harm"


def test_nothing_is_waited_for_if_the_service_has_no_ready_pods() -> None:
    cluster = cluster_with(OURS)
    write(cluster, journal())
    cluster.put(POD, exposure_pod())
    cluster.put(f"{CORE}/pods/cart-0", {"metadata": {"labels": ORIGINAL}})
    cluster.put(f"{CORE}/pods/cart-1", {"metadata": {"labels": ORIGINAL, "deletionTimestamp": 1.0}, **READY})
    cluster.slice("cart")
    cluster.story.clear()
    bring_back(cluster)
    assert cluster.at("DELETE pods/localize-cart-abc12") < GONE_SECONDS / 2


@pytest.mark.parametrize(
    ("current", "wanted", "said"),
    [
        (ORIGINAL, ORIGINAL, []),
        ({"app": "green"}, {"app": "green"}, ["Service shop/cart selects app=green now: somebody else has changed it"]),
        ({}, {}, ["Service shop/cart selects nothing now: somebody else has changed it"]),
        (
            {**OURS, "hash": "5d8f"},
            {**ORIGINAL, "hash": "5d8f"},
            ["Service shop/cart selects app=cart,hash=5d8f,tier=front now: somebody else has changed it"],
        ),
    ],
)
def test_whoever_changed_the_selector_meanwhile_wins(
    current: dict[str, str], wanted: dict[str, str], said: list[str]
) -> None:
    cluster = cluster_with(current)
    write(cluster, journal())
    assert bring_back(cluster) == said
    assert (selector(cluster), cluster.left("abc12")) == (wanted, [])


def test_a_service_that_is_gone_is_said_and_nothing_stays() -> None:
    cluster = Cluster()
    write(cluster, journal())
    assert bring_back(cluster) == ["Service shop/cart is gone: somebody has deleted it"]
    assert cluster.left("abc12") == []


def test_the_way_back_goes_on_when_others_change_the_service_at_the_same_moment() -> None:
    cluster = cluster_with(OURS)
    conflicts = iter(range(ATTEMPTS + 2))  # more than one round of attempts
    cluster.fails = lambda now, method, path: (
        CONFLICT if method == "PATCH" and next(conflicts, None) is not None else ""
    )
    bring_back(cluster)
    assert selector(cluster) == ORIGINAL
