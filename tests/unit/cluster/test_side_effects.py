"""What is said of a Service that is switched: who may switch it back, whose names vanish, who does not get through."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.side_effects import guarded_otherwise, reach, warnings
from kubectl_localize.model import ServiceKey

WEB = ServiceKey("shop", "web")
OURS = {"app": "localize-abc12"}
PODS = [{"metadata": {"name": "web-0", "labels": {"app": "web", "tier": "front"}}, "spec": {}}]


def service(meta: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", **(meta or {})}, "spec": spec}


def said(item: dict[str, Any], pods: list[dict[str, Any]] | None = None) -> list[str]:
    return list(warnings(WEB, item, pods if pods is not None else PODS))


# -- who may switch it back --------------------------------------------------------------------------------------------
def test_of_a_plain_service_there_is_nothing_to_say() -> None:
    assert said(service()) == []


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        (
            {
                "ownerReferences": [
                    {"apiVersion": "db/v1", "kind": "Cluster", "name": "pg", "uid": "1", "controller": True}
                ]
            },
            "controlled by Cluster pg, which may switch it back",
        ),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "shop:/Service:shop/web"}},
            "managed by Argo CD (argocd.argoproj.io/tracking-id: shop:/Service:shop/web), which may switch it back",
        ),
        ({"managedFields": [{"manager": "helm-controller"}]}, "managed by Flux"),
        (
            {"annotations": {"argo-rollouts.argoproj.io/managed-by-rollouts": "web"}},
            "Rollout web switches shop/web back",
        ),
    ],
)
def test_who_may_switch_it_back(meta: dict[str, Any], words: str) -> None:
    (sentence,) = said(service(meta))
    assert words in sentence


def test_the_names_of_a_statefulsets_pods_vanish_with_their_headless_service() -> None:
    pods = [{"metadata": {"name": f"web-{number}"}, "spec": {"subdomain": "web"}} for number in (1, 0)]
    (sentence,) = said(service(clusterIP="None"), pods)
    assert "web-0.web, do not resolve" in sentence
    assert said(service(clusterIP="10.0.0.1"), pods) == []
    assert said(service(clusterIP="None")) == []


# -- who gets through --------------------------------------------------------------------------------------------------
def test_a_local_traffic_policy_lets_through_what_is_on_the_pods_node() -> None:
    assert list(reach(WEB, service())) == []
    (inside,) = reach(WEB, service(internalTrafficPolicy="Local"))
    assert inside.startswith("only clients on the exposure pod's node reach this machine")
    (outside,) = reach(WEB, service(internalTrafficPolicy="Cluster", externalTrafficPolicy="Local"))
    assert outside.startswith("clients from outside of the cluster")


def policy(name: str, selector: dict[str, Any] | None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"podSelector": selector, **spec}}


DENY = policy("deny", {})
ALLOW = policy("allow", {"matchLabels": {"app": "web"}}, policyTypes=["Ingress"], ingress=[{}])


@pytest.mark.parametrize(
    ("policies", "words"),
    [
        ([], ""),
        ([DENY], ""),
        ([policy("out", {"matchLabels": {"app": "web"}}, policyTypes=["Egress"])], ""),
        ([policy("others", {"matchLabels": {"app": "cart"}})], ""),
        ([ALLOW], "NetworkPolicy allow does not apply to the exposure pod, which has other labels: "),
        (
            [DENY, ALLOW],
            "NetworkPolicy allow does not apply to the exposure pod, which has other labels, but deny does:",
        ),
        ([policy("any", {"matchExpressions": [{"key": "app", "operator": "Exists"}]})], ""),
        (
            [policy("in", {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]})],
            "NetworkPolicy in",
        ),
        ([policy("not", {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["x"]}]})], ""),
        ([policy("tier", {"matchExpressions": [{"key": "tier", "operator": "Exists"}]})], "NetworkPolicy tier"),
        ([policy("no", {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]})], ""),
        ([policy("none", None)], ""),
    ],
)
def test_network_policies_that_go_by_labels(policies: list[dict[str, Any]], words: str) -> None:
    sentence = guarded_otherwise(policies, PODS, OURS)
    assert sentence.startswith(words) if words else sentence == ""
