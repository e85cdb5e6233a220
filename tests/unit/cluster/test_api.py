"""Single requests: paths, bodies, and what is made of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import pytest

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.errors import (
    ConflictError,
    NotFoundError,
)
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.requests import FORBIDDEN, NOT_FOUND, Answer, give

T = TypeVar("T")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
CART = WorkloadRef("apps/v1", "Deployment", "shop", "cart")
SCALE = f"{CART.path}/scale"

# What kubectl 1.32 and Kubernetes 1.35 said.
MODIFIED = (
    'Error from server (Conflict): Operation cannot be fulfilled on leases.coordination.k8s.io "a": the object has been'
    " modified; please apply your changes to the latest version and try again"
)


class Requests:
    """Answers one request after the other; `sent` has method, path and body of each."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.sent: list[tuple[str, str, Any]] = []
        self.api = Api(CONNECTION, self)

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float
    ) -> dict[str, Any]:
        assert 0 < timeout_seconds <= 15
        self.sent.append((method, path, body))
        return give(self._answers.pop(0))


def done(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def scale(replicas: int | None, uid: str = "cart-uid") -> dict[str, Any]:
    """A Scale; the API leaves a zero out."""
    spec = {"replicas": replicas} if replicas else {}
    return {"metadata": {"name": "cart", "uid": uid, "resourceVersion": "7"}, "spec": spec, "status": {"replicas": 1}}


def test_reading_sends_nothing() -> None:
    requests = Requests({"a": 1}, NOT_FOUND)
    assert done(requests.api.get(LEASES, {"limit": "1"})) == {"a": 1}
    assert done(requests.api.find(f"{LEASES}/a")) is None
    assert requests.sent == [("GET", f"{LEASES}?limit=1", None), ("GET", f"{LEASES}/a", None)]


def test_a_list_comes_page_by_page() -> None:
    requests = Requests({"items": [{"b": 2}], "metadata": {"continue": "x"}}, {"items": [{"c": 3}]}, {"items": None})
    assert done(requests.api.items("v1", "pods", "shop", "a=b")) == [{"b": 2}, {"c": 3}]
    assert done(requests.api.items("v1", "pods", "")) == []
    assert [path for _, path, _ in requests.sent] == [
        "/api/v1/namespaces/shop/pods?limit=1000&labelSelector=a%3Db",
        "/api/v1/namespaces/shop/pods?limit=1000&labelSelector=a%3Db&continue=x",
        "/api/v1/pods?limit=1000",
    ]


@pytest.mark.parametrize(("answer", "exists"), [({"a": 1}, True), (NOT_FOUND, False), (FORBIDDEN, True)])
def test_what_is_not_known_to_be_gone_exists(answer: Answer, exists: bool) -> None:
    assert done(Requests(answer).api.pod_exists("shop", "web-1")) == exists
    assert done(Requests(answer).api.namespace_exists("shop")) == exists


def test_making_and_replacing_send_the_object_in_our_name() -> None:
    requests = Requests({"made": 1}, {"made": 2}, {"made": 3})
    assert done(requests.api.create(LEASES, {"a": 1})) == {"made": 1}
    assert done(requests.api.create(LEASES, {"a": 2}, dry_run=True)) == {"made": 2}
    assert done(requests.api.replace(f"{LEASES}/a", {"a": 3})) == {"made": 3}
    ours = "fieldManager=kubectl-localize"
    assert requests.sent == [
        ("POST", f"{LEASES}?{ours}", {"a": 1}),
        ("POST", f"{LEASES}?{ours}&dryRun=All", {"a": 2}),
        ("PUT", f"{LEASES}/a?{ours}", {"a": 3}),
    ]


def test_deleting_says_which_one_and_how_soon() -> None:
    requests = Requests({}, {}, NOT_FOUND, MODIFIED)
    path = f"{LEASES}/a"
    assert done(requests.api.delete(path))
    assert done(requests.api.delete(path, uid="77", grace_seconds=0))
    assert not done(requests.api.delete(path))
    with pytest.raises(ConflictError):
        done(requests.api.delete(path, uid="77"))
    options = {"apiVersion": "v1", "kind": "DeleteOptions"}
    precondition = {"preconditions": {"uid": "77"}}
    assert [body for _, _, body in requests.sent] == [
        options, {**options, **precondition, "gracePeriodSeconds": 0}, options, {**options, **precondition}
    ]  # fmt: skip
    assert requests.sent[0][:2] == ("DELETE", path)


@pytest.mark.parametrize(("current", "wanted"), [(2, 0), (0, 2)])
def test_scaling_changes_the_count_only(current: int, wanted: int) -> None:
    requests = Requests(scale(current), scale(wanted))
    assert done(requests.api.scale(CART, current, wanted, uid="cart-uid")) == current
    put = requests.sent[1]
    assert put[:2] == ("PUT", f"{SCALE}?fieldManager=kubectl-localize")
    assert put[2] == {**scale(current), "spec": {"replicas": wanted}}
    assert put[2]["metadata"]["resourceVersion"] == "7", "so that it fails if anybody has changed it since"


def test_what_is_still_as_it_was_seen_is_not_looked_at_once_more() -> None:
    requests = Requests(scale(0))
    done(requests.api.scale_as_seen(CART, 0, uid="cart-uid", version="7"))
    ((method, path, body),) = requests.sent
    assert (method, path) == ("PUT", f"{SCALE}?fieldManager=kubectl-localize")
    assert body == {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "cart-uid", "resourceVersion": "7"},
        "spec": {"replicas": 0},
    }


def test_what_has_changed_since_it_was_seen_is_not_scaled() -> None:
    requests = Requests(MODIFIED)
    with pytest.raises(ConflictError):
        done(requests.api.scale_as_seen(CART, 0, uid="cart-uid", version="6"))
    assert len(requests.sent) == 1


def test_another_count_is_left_alone() -> None:
    requests = Requests(scale(5))
    assert done(requests.api.scale(CART, 0, 2, uid="cart-uid")) == 5
    assert len(requests.sent) == 1


def test_another_workload_of_the_same_name_is_left_alone() -> None:
    requests = Requests(scale(0, uid="another"))
    with pytest.raises(NotFoundError):
        done(requests.api.scale(CART, 0, 2, uid="cart-uid"))
    assert len(requests.sent) == 1
