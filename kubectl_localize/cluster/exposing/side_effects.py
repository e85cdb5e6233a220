"""What switching a Service to a pod with other labels brings with it, and who may undo it at any time; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kubectl_localize.cluster.api import Json
from kubectl_localize.cluster.exposing.blockers import managing_tool
from kubectl_localize.cluster.exposing.workloads import controller
from kubectl_localize.model import ServiceKey

ROLLOUT_ANNOTATION = "argo-rollouts.argoproj.io/managed-by-rollouts"  # Argo Rollouts, on the Services that it switches

Labels = Mapping[str, str]


def warnings(key: ServiceKey, service: Json, pods: Sequence[Json]) -> Iterator[str]:
    """Say what is different while a Service is switched, and who may switch it back.

    Args:
        key: the Service.
        service: all of it.
        pods: what it selects now.
    """
    meta, spec = service["metadata"], service["spec"]
    owner, tool = controller(service), managing_tool(service)
    rollout = (meta.get("annotations") or {}).get(ROLLOUT_ANNOTATION)
    if owner is not None:
        yield f"{key} is controlled by {owner}, which may switch it back at any time"
    if tool:
        yield f"{key} is managed by {tool}, which may switch it back at any time"
    if rollout:
        yield f"Rollout {rollout} switches {key} back when it is promoted, aborted or restarted"
    subdomains = {pod["spec"].get("subdomain") for pod in pods}
    if spec.get("clusterIP") == "None" and key.name in subdomains:
        example = min(pod["metadata"]["name"] for pod in pods if pod["spec"].get("subdomain") == key.name)
        yield (
            f"the names of the single pods behind {key}, such as {example}.{key.name}, do not resolve while it is"
            " switched, not even for these pods themselves"
        )


def reach(key: ServiceKey, service: Json) -> Iterator[str]:
    """Say which clients do not reach an exposure, because it has one pod, on one node."""
    spec = service["spec"]
    if spec.get("internalTrafficPolicy") == "Local":
        yield (
            f"only clients on the exposure pod's node reach this machine, as {key} has internalTrafficPolicy Local;"
            " on other nodes they get no answer"
        )
    if spec.get("externalTrafficPolicy") == "Local":
        yield (
            f"clients from outside of the cluster reach this machine by the exposure pod's node only, as {key} has"
            " externalTrafficPolicy Local"
        )


def guarded_otherwise(policies: Sequence[Json], pods: Sequence[Json], labels: Labels) -> str:
    """Say what changes if the clients' way to the exposure pod is ruled by other NetworkPolicies; empty: nothing.

    Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/

    Args:
        policies: all of the namespace.
        pods: those that the exposure pod stands in for.
        labels: the exposure pod's.
    """
    ingress = [policy for policy in policies if "Ingress" in (policy["spec"].get("policyTypes") or ["Ingress"])]
    ours = [policy for policy in ingress if _selects(policy, labels)]
    lost = [
        policy
        for policy in ingress
        if policy not in ours and any(_selects(policy, pod["metadata"].get("labels") or {}) for pod in pods)
    ]
    if not lost:
        return ""
    names = "NetworkPolicy " + ", ".join(sorted(policy["metadata"]["name"] for policy in lost))
    if not ours:
        return (
            f"{names} does not apply to the exposure pod, which has other labels: everybody in the cluster reaches it"
        )
    return (
        f"{names} does not apply to the exposure pod, which has other labels, but {ours[0]['metadata']['name']} does:"
        " clients that only the former lets in get no answer"
    )


def _selects(policy: Json, labels: Labels) -> bool:
    selector = policy["spec"].get("podSelector") or {}
    wanted: Labels = selector.get("matchLabels") or {}
    return wanted.items() <= labels.items() and all(
        _holds(requirement, labels) for requirement in selector.get("matchExpressions") or ()
    )


def _holds(requirement: Json, labels: Labels) -> bool:
    """One requirement of a LabelSelector (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/)."""
    value, values = labels.get(requirement["key"]), requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None
