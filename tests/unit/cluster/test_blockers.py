"""What speaks against scaling a workload to zero."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.blockers import Blocker, blockers, foreign
from kubectl_localize.cluster.exposing.values import Workload, WorkloadRef
from kubectl_localize.cluster.exposing.workloads import Owners


def workload(kind: str = "Deployment", replicas: int = 2, spec: dict[str, Any] | None = None, **meta: Any) -> Workload:
    """One of the namespace shop."""
    item = {"metadata": {"name": "cart", "namespace": "shop", **meta}, "spec": {"replicas": replicas, **(spec or {})}}
    return Workload(WorkloadRef("apps/v1", kind, "shop", "cart"), "uid", replicas, item)


def autoscaler(called: str = "busy", /, *, namespace: str = "shop", **target: str) -> dict[str, Any]:
    """One for the Deployment above, or another target; an empty value leaves it out."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", **target}
    return {
        "metadata": {"name": called, "namespace": namespace},
        "spec": {"scaleTargetRef": {key: value for key, value in reference.items() if value}},
    }


def only(result: list[Blocker]) -> Blocker:
    (blocker,) = result
    return blocker


def test_nothing_speaks_against_an_ordinary_workload() -> None:
    meta: dict[str, Any] = {
        "labels": {"app.kubernetes.io/instance": "cart", "app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"deployment.kubernetes.io/revision": "1"},
        "managedFields": [{"manager": "helm"}, {"manager": "kube-controller-manager"}, {"manager": "kubectl-localize"}],
    }
    assert blockers(workload(**meta), []) == []
    assert blockers(workload("StatefulSet"), []) == []
    assert foreign(Owners((workload(),), ())) is None


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/cart"}},
         "Argo CD (argocd.argoproj.io/tracking-id: shop:apps/Deployment:shop/cart)"),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, "Argo CD (argocd.argoproj.io/instance: shop)"),
        ({"managedFields": [{"manager": "kubectl"}, {"manager": "argocd-controller"}]},
         "Argo CD (field manager argocd-controller)"),
        ({"managedFields": [{"manager": "argocd-application-controller"}]},
         "Argo CD (field manager argocd-application-controller)"),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}, "Flux (kustomize.toolkit.fluxcd.io/name: apps)"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "cart"}}, "Flux (helm.toolkit.fluxcd.io/name: cart)"),
        ({"managedFields": [{"manager": "kustomize-controller"}]}, "Flux (field manager kustomize-controller)"),
        ({"managedFields": [{"manager": "helm-controller"}]}, "Flux (field manager helm-controller)"),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}, "managedFields": [{"manager": "argocd-controller"}]},
         "Argo CD (argocd.argoproj.io/instance: shop)"),
    ],
)  # fmt: skip
def test_gitops_tools_are_named_once_with_the_evidence(meta: dict[str, Any], words: str) -> None:
    result = only(blockers(workload(**meta), []))
    message = f"Deployment shop/cart is managed by {words}, which may scale it up again at any time"
    assert (result.message, result.forcible) == (message, True)
    assert "--force" in result.hint
    assert "--keep" in result.hint


def test_an_operator_is_named() -> None:
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "cart", "uid": "1", "controller": True}
    result = only(blockers(workload("ReplicaSet", ownerReferences=[owner]), []))
    assert result.message.startswith("ReplicaSet shop/cart is controlled by Rollout argoproj.io/v1alpha1 cart, ")
    assert result.forcible
    assert blockers(workload(ownerReferences=[{**owner, "controller": False}]), []) == []


@pytest.mark.parametrize(
    ("target", "counts"),
    [
        ({}, True),
        ({"apiVersion": "apps/v1beta2"}, True),
        ({"apiVersion": ""}, True),
        ({"apiVersion": "example.com/v1"}, False),
        ({"kind": "StatefulSet"}, False),
        ({"name": "web"}, False),
    ],
)
def test_an_autoscaler_counts_for_its_target_alone(target: dict[str, str], counts: bool) -> None:
    result = blockers(workload(), [autoscaler(**target)])
    expected = (
        "HorizontalPodAutoscaler busy scales Deployment shop/cart:"
        " scaling to zero switches it off until the workload is scaled up again"
    )
    assert [(blocker.message, blocker.forcible) for blocker in result] == ([(expected, True)] if counts else [])


def test_an_autoscaler_of_another_namespace_does_not_count() -> None:
    assert blockers(workload(), [autoscaler(namespace="try")]) == []


def test_keda_is_told_from_a_plain_autoscaler() -> None:
    keda = autoscaler("keda-hpa-orders")
    keda["metadata"]["labels"] = {"scaledobject.keda.sh/name": "orders"}
    result = only(blockers(workload(), [keda, autoscaler(name="web")]))
    assert result.message.startswith("KEDA scales Deployment shop/cart (ScaledObject orders)")
    assert result.forcible


@pytest.mark.parametrize(
    ("policy", "counts"),
    [
        ({"whenScaled": "Delete", "whenDeleted": "Retain"}, True),
        ({"whenScaled": "Retain", "whenDeleted": "Delete"}, False),
        (None, False),
    ],
)
def test_volumes_are_never_lost(policy: dict[str, str] | None, counts: bool) -> None:
    result = blockers(workload("StatefulSet", spec={"persistentVolumeClaimRetentionPolicy": policy}), [])
    assert [blocker.forcible for blocker in result] == ([False] if counts else [])
    assert all("would delete its volumes" in blocker.message and "--keep" in blocker.hint for blocker in result)
    assert all("--force" not in blocker.hint for blocker in result)


def test_what_has_no_replicas_cannot_be_replaced() -> None:
    result = only(blockers(workload(replicas=0), []))
    assert (result.message, result.forcible) == ("Deployment shop/cart has no replicas", False)


def test_what_cannot_be_overruled_comes_first() -> None:
    spec = {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}
    many = workload("StatefulSet", 0, spec, labels={"helm.toolkit.fluxcd.io/name": "cart"})
    result = blockers(many, [autoscaler(kind="StatefulSet")])
    assert [blocker.forcible for blocker in result] == [False, False, True, True]


def test_pods_that_cannot_be_scaled() -> None:
    result = foreign(Owners((), ("DaemonSet logs", "no owner (pod cart-1)")))
    assert result is not None
    assert result.message == "not all pods can be scaled down: DaemonSet logs, no owner (pod cart-1)"
    assert not result.forcible
    assert "--keep" in result.hint


def test_pods_beside_a_workload_may_be_left_alone() -> None:
    result = foreign(Owners((workload(),), ("Job migrate (pod migrate-x7k2p)",)))
    assert result is not None
    assert result.message.endswith("part of the traffic as before: Job migrate (pod migrate-x7k2p)")
    assert result.forcible
    assert "--force" in result.hint
