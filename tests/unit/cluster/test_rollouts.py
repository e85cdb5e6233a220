"""Which rollouts are over; the statuses are those of Kubernetes 1.35, shortened."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.rollouts import unfinished
from kubectl_localize.cluster.exposing.values import Workload, WorkloadRef
from kubectl_localize.cluster.exposing.workloads import owned, selector_text

OVER = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
FINISHED = [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]
GOING_ON = [{"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}]
HUNG = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
REVISIONS = {"currentRevision": "db-1", "updateRevision": "db-1"}


def workload(kind: str, status: dict[str, Any], generation: int = 1, **spec: Any) -> Workload:
    template = {"metadata": {}, "spec": {"containers": [{"name": "main", "image": "shop:2"}]}}
    item = {
        "metadata": {"name": "cart", "namespace": "shop", "generation": generation},
        "spec": {"replicas": 2, "template": template, **spec},
        "status": {"observedGeneration": 1, **status},
    }
    return Workload(WorkloadRef("apps/v1", kind, "shop", "cart"), "uid", 2, item)


def pod(
    called: str, /, *, revision: str = "", image: str = "shop:2", waiting: str = "", **owner: str
) -> dict[str, Any]:
    labels = {"controller-revision-hash": revision} if revision else {}
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    owners = [{"apiVersion": "apps/v1", "controller": True, **owner}] if owner else []
    return {
        "metadata": {"name": called, "labels": labels, "ownerReferences": owners},
        "spec": {"containers": [{"name": "main", "image": image}, {"name": "injected", "image": "proxy:1"}]},
        "status": {"containerStatuses": [{"name": "main", "state": state}]},
    }


@pytest.mark.parametrize(
    "over",
    [
        workload("Deployment", OVER),
        workload("Deployment", {**OVER, "conditions": FINISHED}),
        workload("Deployment", {**OVER, "availableReplicas": 1, "conditions": FINISHED}),  # a pod is not Ready now
        workload("Deployment", {"replicas": 1, "updatedReplicas": 1, "conditions": FINISHED}),  # a quota is full
        workload("Deployment", {**OVER, "conditions": FINISHED}, paused=False),
        workload("StatefulSet", {**OVER, **REVISIONS}),
        workload("StatefulSet", {**OVER, **REVISIONS, "readyReplicas": 1}),
        workload("StatefulSet", {**OVER, **REVISIONS}, updateStrategy={"type": "OnDelete"}),
        workload("StatefulSet", {**OVER, **REVISIONS}, updateStrategy={"rollingUpdate": {"partition": 1}}),
        workload("ReplicaSet", {"replicas": 2, "readyReplicas": 1}),
        workload("ReplicationController", {"replicas": 2}),
        workload("DaemonSet", {}),
    ],
)
def test_what_comes_back_as_it_was_may_be_scaled(over: Workload) -> None:
    assert unfinished(over, [pod("cart-0", revision="db-1"), pod("cart-1", revision="db-1")]) is None


@pytest.mark.parametrize(
    ("going_on", "message", "forcible"),
    [
        (workload("Deployment", {"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2, "conditions": HUNG}),
         "(pod cart-0: ImagePullBackOff): 2 of 3 pods are of an older revision", False),
        (workload("Deployment", {**OVER, "replicas": 3, "conditions": GOING_ON}), "1 of 3 pods", False),
        (workload("Deployment", {**OVER, "availableReplicas": 1, "conditions": GOING_ON}),
         "1 of 2 pods are available", True),
        (workload("Deployment", {"replicas": 2, "updatedReplicas": 2, "conditions": HUNG}),
         "(pod cart-0: ImagePullBackOff): 0 of 2 pods are available", True),
        (workload("Deployment", {}), "0 of 2 pods are available", True),
        (workload("Deployment", OVER, generation=2), "has just been changed", False),
        (workload("Deployment", OVER, paused=True), "is paused", False),
        (workload("StatefulSet", {**OVER, "currentRevision": "db-1", "updateRevision": "db-2"}),
         "(pod cart-0: ImagePullBackOff): 1 of 2 pods are of an older revision", False),
        (workload("StatefulSet", {**OVER, **REVISIONS}, generation=2), "has just been changed", False),
        (workload("ReplicaSet", OVER), "1 of 2 pods of ReplicaSet shop/cart run another image", True),
    ],
)  # fmt: skip
def test_what_would_not_come_back_is_said(going_on: Workload, message: str, forcible: bool) -> None:
    pods = [
        pod("cart-0", revision="db-2", waiting="ImagePullBackOff"),
        pod("cart-1", revision="db-1", image="shop:1"),
    ]
    blocker = unfinished(going_on, pods)
    assert blocker is not None
    assert message in blocker.message
    assert blocker.forcible is forcible
    assert "--keep" in blocker.hint


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ({"type": "OnDelete"}, " (its update strategy is OnDelete)"),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, " (its update strategy has partition 1)"),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}, ""),
    ],
)
def test_pods_that_a_stateful_set_holds_back_are_older(strategy: dict[str, Any], words: str) -> None:
    held = workload(
        "StatefulSet", {**OVER, "currentRevision": "db-1", "updateRevision": "db-2"}, updateStrategy=strategy
    )
    blocker = unfinished(held, [pod("cart-0", revision="db-1"), pod("cart-1", revision="db-2")])
    assert blocker is not None
    assert blocker.message.startswith(f"the rollout of StatefulSet shop/cart is not finished{words}: 1 of 2 pods")


def test_the_last_pod_of_a_rolling_update_is_waited_for() -> None:
    status = {**OVER, "readyReplicas": 1, "currentRevision": "db-1", "updateRevision": "db-2"}
    blocker = unfinished(workload("StatefulSet", status), [pod("cart-0", revision="db-2")])
    assert blocker is not None
    assert blocker.forcible


# -- whose pods -------------------------------------------------------------------------------------------------------
def test_a_deployments_pods_belong_to_a_replica_set_of_its_name() -> None:
    cart = workload("Deployment", OVER)
    assert owned(cart, pod("cart-1-x", kind="ReplicaSet", name="cart-6767cc67f4", uid="other"))
    assert not owned(cart, pod("cart-canary-1-x", kind="ReplicaSet", name="cart-canary-6767cc67f4", uid="other"))
    assert not owned(cart, pod("cart-migrate-x", kind="Job", name="cart-migrate", uid="other"))
    assert not owned(cart, pod("bare"))
    assert owned(workload("StatefulSet", OVER), pod("cart-0", kind="StatefulSet", name="cart", uid="uid"))
    assert not owned(workload("StatefulSet", OVER), pod("cart-0", kind="StatefulSet", name="cart", uid="deleted"))


def test_a_selector_in_the_words_of_a_query() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["back", "front"]},
        {"key": "old", "operator": "NotIn", "values": ["yes"]},
        {"key": "team", "operator": "Exists"},
        {"key": "canary", "operator": "DoesNotExist"},
    ]
    cart = workload("Deployment", OVER, selector={"matchLabels": {"app": "cart"}, "matchExpressions": expressions})
    assert selector_text(cart) == "app=cart,tier in (back,front),old notin (yes),team,!canary"
    plain = workload("ReplicationController", OVER, selector={"app": "cart", "a": "b"})
    assert selector_text(plain) == "a=b,app=cart"
