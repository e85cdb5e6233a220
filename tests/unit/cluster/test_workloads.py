"""Whose pods these are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.cluster.exposing.workloads import Owners, likely_kinds, owners
from kubectl_localize.errors import ForbiddenError
from tests.unit.fakes.requests import FORBIDDEN, NOT_FOUND, Answer, Answering

Owner = tuple[str, str, str]  # apiVersion, kind, name
DEPLOYMENT = ("apps/v1", "Deployment", "cart")
REPLICA_SETS = (("apps/v1", "ReplicaSet", "cart-1"), ("apps/v1", "ReplicaSet", "cart-2"))
STATEFUL_SET = ("apps/v1", "StatefulSet", "db")
REPLICATION = ("v1", "ReplicationController", "old")
APPS = "/apis/apps/v1/namespaces/shop"


def owned(name: str, owner: Owner | None, *, uid: str = "", controller: bool = True) -> dict[str, Any]:
    """An object of the namespace shop, its uid `NAME-uid` as the owner's is, unless another one is said."""
    meta: dict[str, Any] = {"name": name, "namespace": "shop", "uid": f"{name}-uid"}
    if owner:
        reference = {"apiVersion": owner[0], "kind": owner[1], "name": owner[2], "uid": uid or f"{owner[2]}-uid"}
        meta["ownerReferences"] = [{**reference, "controller": controller}]
    return {"metadata": meta, "spec": {"replicas": 2}}


def cluster(objects: Mapping[Owner, Owner | None]) -> Answering:
    """A namespace with these objects and their owners."""
    by_path: dict[str, Answer] = {
        WorkloadRef(api_version, kind, "shop", name).path: owned(name, owner)
        for (api_version, kind, name), owner in objects.items()
    }
    return Answering(lambda path, _: by_path.get(path, NOT_FOUND))


def find(stage: Answering, *pods: dict[str, Any]) -> Owners:
    return asyncio.run(owners(stage.api, "shop", pods))


def names(result: Owners) -> list[str]:
    return [str(workload.ref) for workload in result.workloads]


def test_a_deployment_is_found_through_all_its_replica_sets_and_everything_is_asked_for_once() -> None:
    stage = cluster({DEPLOYMENT: None, **dict.fromkeys(REPLICA_SETS, DEPLOYMENT)})
    result = find(
        stage,
        owned("cart-2-a", REPLICA_SETS[1]),
        owned("cart-1-a", REPLICA_SETS[0]),
        owned("cart-1-b", REPLICA_SETS[0]),
    )
    (cart,) = result.workloads
    assert (cart.ref, cart.uid, cart.replicas) == (WorkloadRef("apps/v1", "Deployment", "shop", "cart"), "cart-uid", 2)
    assert cart.object["metadata"]["name"] == "cart"
    assert result.others == ()
    assert sorted(stage.requests) == [
        f"{APPS}/deployments/cart", f"{APPS}/replicasets/cart-1", f"{APPS}/replicasets/cart-2"
    ]  # fmt: skip
    assert stage.at_once == 2


def hashed(name: str, owner: Owner) -> dict[str, Any]:
    """A pod of a ReplicaSet, labelled with the end of its name, as the deployment controller does."""
    pod = owned(name, owner)
    pod["metadata"]["labels"] = {"pod-template-hash": owner[2].rpartition("-")[2]}
    return pod


def test_the_deployment_that_a_pod_is_called_after_is_fetched_beside_its_replica_set() -> None:
    stage = cluster({DEPLOYMENT: None, **dict.fromkeys(REPLICA_SETS, DEPLOYMENT)})
    result = find(stage, hashed("cart-1-a", REPLICA_SETS[0]), hashed("cart-2-a", REPLICA_SETS[1]))
    assert names(result) == ["Deployment shop/cart"]
    assert len(stage.requests) == stage.at_once == 3


@pytest.mark.parametrize("answer", [NOT_FOUND, FORBIDDEN, owned("cart", None)])
def test_a_deployment_is_not_the_owner_for_its_name_alone(answer: Answer) -> None:
    rollout = ("argoproj.io/v1alpha1", "Rollout", "cart")
    replica_set = WorkloadRef("apps/v1", "ReplicaSet", "shop", "cart-1").path
    stage = Answering(lambda path, _: owned("cart-1", rollout) if path == replica_set else answer)
    assert names(find(stage, hashed("cart-1-a", REPLICA_SETS[0]))) == ["ReplicaSet shop/cart-1"]
    assert len(stage.requests) == 2


def test_a_deployment_that_has_another_name_or_uid_than_its_replica_set_suggests() -> None:
    other = ("apps/v1", "Deployment", "other")
    stage = cluster({DEPLOYMENT: None, other: None, REPLICA_SETS[0]: other})
    assert names(find(stage, hashed("cart-1-a", REPLICA_SETS[0]))) == ["Deployment shop/other"]
    by_path: dict[str, Answer] = {
        WorkloadRef("apps/v1", "ReplicaSet", "shop", "cart-1").path: owned("cart-1", DEPLOYMENT, uid="of-yesterday"),
        WorkloadRef("apps/v1", "Deployment", "shop", "cart").path: owned("cart", None),
    }
    stage = Answering(lambda path, _: by_path[path])
    assert find(stage, hashed("cart-1-a", REPLICA_SETS[0])) == Owners(
        (), ("the deleted Deployment cart (pod cart-1-a)",)
    )


def test_every_kind_that_can_be_scaled_in_a_fixed_order() -> None:
    stage = cluster({STATEFUL_SET: None, REPLICATION: None, REPLICA_SETS[0]: None, REPLICA_SETS[1]: DEPLOYMENT,
                     DEPLOYMENT: None})  # fmt: skip
    pods = [owned(f"pod-{number}", owner) for number, owner in enumerate((STATEFUL_SET, REPLICATION, *REPLICA_SETS))]
    expected = [
        "Deployment shop/cart", "ReplicaSet shop/cart-1", "StatefulSet shop/db", "ReplicationController shop/old"
    ]  # fmt: skip
    assert names(find(stage, *pods)) == expected
    assert names(find(stage, *reversed(pods))) == expected
    assert "/api/v1/namespaces/shop/replicationcontrollers/old" in stage.requests


def test_a_workload_of_an_operator_stays_the_workload() -> None:
    rollout = ("argoproj.io/v1alpha1", "Rollout", "cart")
    stage = cluster({REPLICA_SETS[0]: rollout, STATEFUL_SET: ("example.com/v1", "Database", "db")})
    result = find(stage, owned("cart-1-a", REPLICA_SETS[0]), owned("db-0", STATEFUL_SET))
    assert (names(result), result.others) == (["ReplicaSet shop/cart-1", "StatefulSet shop/db"], ())


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        (None, "no owner (pod cart-1)"),
        (("apps/v1", "DaemonSet", "logs"), "DaemonSet logs (pod cart-1)"),
        (("batch/v1", "Job", "migrate"), "Job migrate (pod cart-1)"),
        (("v1", "Node", "one"), "Node one (pod cart-1)"),
        (("internal.apps.k8s.io/v1", "Thing", "it"), "Thing it (pod cart-1)"),
        (("argoproj.io/v1alpha1", "Rollout", "cart"), "Rollout argoproj.io/v1alpha1 cart (pod cart-1)"),
        (("apps.example.com/v1", "Deployment", "cart"), "Deployment apps.example.com/v1 cart (pod cart-1)"),
    ],
)
def test_what_cannot_be_scaled_is_said_and_not_asked_for(owner: Owner | None, words: str) -> None:
    stage = cluster({DEPLOYMENT: None})
    assert find(stage, owned("cart-1", owner)) == Owners((), (words,))
    assert stage.requests == []


def test_an_owner_that_is_no_controller_does_not_count() -> None:
    result = find(cluster({STATEFUL_SET: None}), owned("db-0", STATEFUL_SET, controller=False))
    assert result == Owners((), ("no owner (pod db-0)",))


def test_a_namesake_of_a_deleted_owner_is_not_the_owner() -> None:
    stage = cluster({STATEFUL_SET: None})
    result = find(stage, owned("db-0", STATEFUL_SET, uid="of-yesterday"), owned("db-1", STATEFUL_SET))
    assert (names(result), result.others) == (["StatefulSet shop/db"], ("the deleted StatefulSet db (pod db-0)",))
    assert find(stage, owned("db-0", STATEFUL_SET, uid="of-yesterday")).workloads == ()


def test_others_come_in_a_fixed_order_and_each_once() -> None:
    logs = ("apps/v1", "DaemonSet", "logs")
    pods = [owned("b", None), owned("logs-2", logs), owned("a", None), owned("logs-1", logs), owned("c", None)]
    pods += [owned("d", None), owned("e", None)]
    expected = ("DaemonSet logs (pods logs-1, logs-2)", "no owner (pods a, b, c and 2 more)")
    assert find(cluster({}), *pods).others == find(cluster({}), *reversed(pods)).others == expected


def test_owners_that_are_gone() -> None:
    assert find(cluster({}), owned("cart-1-a", REPLICA_SETS[0])).others == (
        "the deleted ReplicaSet cart-1 (pod cart-1-a)",
    )
    orphaned = cluster({REPLICA_SETS[0]: DEPLOYMENT})
    assert find(orphaned, owned("cart-1-a", REPLICA_SETS[0])) == Owners(
        (), ("the deleted Deployment cart (pod cart-1-a)",)
    )


def test_the_pods_alone_tell_which_kinds_to_ask_for() -> None:
    bare, logs = owned("bare", None), owned("logs-x", ("apps/v1", "DaemonSet", "logs"))
    assert likely_kinds([bare, logs, owned("cart-1-a", REPLICA_SETS[0])]) == {"Deployment"}
    assert likely_kinds([owned("db-0", STATEFUL_SET), owned("old-x", REPLICATION)]) == {
        "StatefulSet", "ReplicationController"
    }  # fmt: skip


def test_what_may_not_be_read_is_an_error() -> None:
    with pytest.raises(ForbiddenError):
        find(Answering(lambda path, _: FORBIDDEN), owned("db-0", STATEFUL_SET))


@given(st.lists(st.sampled_from([None, STATEFUL_SET, REPLICATION, *REPLICA_SETS, ("apps/v1", "DaemonSet", "logs")])))
def test_each_pod_is_accounted_for_and_each_object_read_once(direct: list[Owner | None]) -> None:
    stage = cluster({DEPLOYMENT: None, REPLICA_SETS[0]: DEPLOYMENT, REPLICA_SETS[1]: None, STATEFUL_SET: None,
                     REPLICATION: None})  # fmt: skip
    result = find(stage, *(owned(f"pod-{number}", owner) for number, owner in enumerate(direct)))
    top = {DEPLOYMENT if owner == REPLICA_SETS[0] else owner for owner in direct if owner}
    assert {
        (owning_workload.ref.api_version, owning_workload.ref.kind, owning_workload.ref.name)
        for owning_workload in result.workloads
    } == {owner for owner in top if owner[1] != "DaemonSet"}
    assert len(result.others) == (None in direct) + any(owner[1] == "DaemonSet" for owner in top)
    assert len(set(stage.requests)) == len(stage.requests)
