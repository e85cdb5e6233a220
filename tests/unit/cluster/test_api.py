"""Single requests: command lines, bodies, and what the API server's refusals are taken for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubectlError,
    NotFoundError,
)
from tests.unit.cluster.answering import NOT_FOUND, Answer, Done
from tests.unit.cluster.samples import CONNECTION

T = TypeVar("T")
PINNED = ["/usr/bin/kubectl", "--kubeconfig=/home/ada/.kube/config", "--context=dev"]
LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
CART = WorkloadRef("apps/v1", "Deployment", "shop", "cart")
SCALE = f"{CART.path}/scale"

# What kubectl 1.32 and Kubernetes 1.35 said.
EXISTS = 'Error from server (AlreadyExists): leases.coordination.k8s.io "a" already exists'
MODIFIED = (
    'Error from server (Conflict): Operation cannot be fulfilled on leases.coordination.k8s.io "a": the object has been'
    " modified; please apply your changes to the latest version and try again"
)
NO_VERSION = (
    'The leases "a" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update'
)  # fmt: skip
POD_SECURITY = (
    'Error from server (Forbidden): pods "x" is forbidden: violates PodSecurity "restricted:latest":'
    " allowPrivilegeEscalation != false"
)


class Kubectl:
    """Answers one request after the other."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[list[str], Any]] = []
        self.api = Api(CONNECTION, self._run)

    async def _run(self, argv: list[str], body: bytes | None) -> Done:
        assert argv[:3] == PINNED
        self.requests.append((argv[3:], json.loads(body) if body is not None else None))
        return Done(self._answers.pop(0))


def done(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def scale(replicas: int | None, uid: str = "cart-uid") -> dict[str, Any]:
    """A Scale; the API leaves a zero out."""
    spec = {"replicas": replicas} if replicas else {}
    return {"metadata": {"name": "cart", "uid": uid, "resourceVersion": "7"}, "spec": spec, "status": {"replicas": 1}}


def test_reading_sends_nothing() -> None:
    kubectl = Kubectl({"a": 1}, NOT_FOUND, {"items": [{"b": 2}]}, {"items": None})
    assert done(kubectl.api.get(LEASES, {"limit": "1"})) == {"a": 1}
    assert done(kubectl.api.find(f"{LEASES}/a")) is None
    assert done(kubectl.api.items("v1", "pods", "shop", "a=b")) == [{"b": 2}]
    assert done(kubectl.api.items("v1", "pods", "")) == []
    limit = "--request-timeout=15s"
    assert kubectl.requests == [
        (["get", "--raw", f"{LEASES}?limit=1", limit], None),
        (["get", "--raw", f"{LEASES}/a", limit], None),
        (["get", "--raw", "/api/v1/namespaces/shop/pods?labelSelector=a%3Db", limit], None),
        (["get", "--raw", "/api/v1/pods", limit], None),
    ]


def test_making_and_replacing_send_the_object_in_our_name() -> None:
    kubectl = Kubectl({"made": 1}, {"made": 2}, {"made": 3})
    assert done(kubectl.api.create(LEASES, {"a": 1})) == {"made": 1}
    assert done(kubectl.api.create(LEASES, {"a": 2}, dry_run=True)) == {"made": 2}
    assert done(kubectl.api.replace(f"{LEASES}/a", {"a": 3})) == {"made": 3}
    rest = ["--filename=-", "--request-timeout=15s"]
    ours = "fieldManager=kubectl-localize"
    assert kubectl.requests == [
        (["create", "--raw", f"{LEASES}?{ours}", *rest], {"a": 1}),
        (["create", "--raw", f"{LEASES}?{ours}&dryRun=All", *rest], {"a": 2}),
        (["replace", "--raw", f"{LEASES}/a?{ours}", *rest], {"a": 3}),
    ]


def test_deleting_says_which_one_and_how_soon() -> None:
    kubectl = Kubectl({}, {}, NOT_FOUND, MODIFIED)
    path = f"{LEASES}/a"
    assert done(kubectl.api.delete(path))
    assert done(kubectl.api.delete(path, uid="77", grace_seconds=0))
    assert not done(kubectl.api.delete(path))
    with pytest.raises(ConflictError):
        done(kubectl.api.delete(path, uid="77"))
    options = {"apiVersion": "v1", "kind": "DeleteOptions"}
    precondition = {"preconditions": {"uid": "77"}}
    assert [body for _, body in kubectl.requests] == [
        options, {**options, **precondition, "gracePeriodSeconds": 0}, options, {**options, **precondition}
    ]  # fmt: skip
    assert kubectl.requests[0][0] == ["delete", "--raw", path, "--filename=-", "--request-timeout=15s"]


@pytest.mark.parametrize(("current", "wanted"), [(2, 0), (0, 2)])
def test_scaling_changes_the_count_only(current: int, wanted: int) -> None:
    kubectl = Kubectl(scale(current), scale(wanted))
    assert done(kubectl.api.scale(CART, current, wanted, uid="cart-uid")) == current
    put = kubectl.requests[1]
    assert put[0][:3] == ["replace", "--raw", f"{SCALE}?fieldManager=kubectl-localize"]
    assert put[1] == {**scale(current), "spec": {"replicas": wanted}}
    assert put[1]["metadata"]["resourceVersion"] == "7", "so that it fails if anybody has changed it since"


def test_what_is_still_as_it_was_seen_is_not_looked_at_once_more() -> None:
    kubectl = Kubectl(scale(0))
    assert done(kubectl.api.scale(CART, 2, 0, uid="cart-uid", version="7")) == 2
    (argv, body), *more = kubectl.requests
    assert (argv[:3], more) == (["replace", "--raw", f"{SCALE}?fieldManager=kubectl-localize"], [])
    assert body == {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "cart", "namespace": "shop", "uid": "cart-uid", "resourceVersion": "7"},
        "spec": {"replicas": 0},
    }


@pytest.mark.parametrize("there", [2, 5])
def test_what_has_changed_since_it_was_seen_is_looked_at(there: int) -> None:
    kubectl = Kubectl(MODIFIED, scale(there), scale(0))
    assert done(kubectl.api.scale(CART, 2, 0, uid="cart-uid", version="6")) == there
    assert len(kubectl.requests) == (3 if there == 2 else 2), "scaled only from what was expected"


def test_another_count_is_left_alone() -> None:
    kubectl = Kubectl(scale(5))
    assert done(kubectl.api.scale(CART, 0, 2, uid="cart-uid")) == 5
    assert len(kubectl.requests) == 1


def test_another_workload_of_the_same_name_is_left_alone() -> None:
    kubectl = Kubectl(scale(0, uid="another"))
    with pytest.raises(NotFoundError):
        done(kubectl.api.scale(CART, 0, 2, uid="cart-uid"))
    assert len(kubectl.requests) == 1


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (EXISTS, AlreadyExistsError),
        (MODIFIED, ConflictError),
        (NO_VERSION, InvalidError),
        ('Error from server: admission webhook "check.example.com" denied the request: no', InvalidError),
        (POD_SECURITY, ForbiddenError),
        ('Error from server (NotFound): namespaces "nosuch" not found', NotFoundError),
        ("Error from server (InternalError): out of luck", KubectlError),
    ],
)
def test_refusals(said: str, kind: type[KubectlError]) -> None:
    with pytest.raises(KubectlError) as caught:
        done(Kubectl(said).api.create(LEASES, {}))
    assert type(caught.value) is kind
    assert caught.value.message == said.removeprefix("Error from server").partition(": ")[2] or kind is InvalidError


def test_an_answer_that_is_no_json_is_an_error() -> None:
    class Garbled(Done):
        def __init__(self) -> None:
            super().__init__({})
            self.stdout = asyncio.StreamReader()
            self.stdout.feed_data(b"Success!")
            self.stdout.feed_eof()

    async def run(argv: list[str], body: bytes | None) -> Done:
        return Garbled()

    with pytest.raises(KubectlError, match="no JSON"):
        done(Api(CONNECTION, run).get("/version"))


def test_a_kubectl_that_cannot_be_started_is_an_error_in_words() -> None:
    async def run(argv: list[str], stdin: bytes | None) -> Done:
        raise FileNotFoundError(2, "No such file or directory", argv[0])

    with pytest.raises(KubectlError, match="kubectl cannot be started: No such file or directory"):
        asyncio.run(Api(CONNECTION, run).get("/version"))
