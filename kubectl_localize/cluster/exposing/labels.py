"""Which labels an exposure pod has, and which Services find a pod by its labels; pure decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubectl_localize.cluster.api import Json
from kubectl_localize.cluster.exposing.blockers import KEEP
from kubectl_localize.cluster.exposing.values import TEMPLATE_HASH_LABEL
from kubectl_localize.errors import LocalizeError

# What a controller or the node writes on each pod; of no meaning on a pod that none of them made.
HASH_LABELS = frozenset(
    {
        TEMPLATE_HASH_LABEL,
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
    }
)


def matching(services: Sequence[Json], labels: Mapping[str, str]) -> list[Json]:
    """The Services whose selector finds a pod with these labels; one without a selector finds none."""
    return [
        service
        for service in services
        if (selector := _selector(service)) and all(labels.get(key) == value for key, value in selector.items())
    ]


def selected_keys(services: Sequence[Json]) -> frozenset[str]:
    """The keys of labels by which some of these Services select pods."""
    return frozenset(key for service in services for key in _selector(service))


def pod_labels(templates: Sequence[Json], services: Sequence[Json]) -> dict[str, str]:
    """The exposure pod's labels: the first template's, and what else the Services select by.

    Args:
        templates: the pod templates that it replaces, at least one.
        services: the ones asked for, which have to find it.

    Raises:
        LocalizeError: no pod can satisfy one of the Services beside those before it.
    """
    own = (templates[0].get("metadata") or {}).get("labels") or {}
    labels = {key: value for key, value in own.items() if key not in HASH_LABELS}
    for service in services:
        for key, value in _selector(service).items():
            if labels.setdefault(key, value) != value:
                raise LocalizeError(
                    f"{_name(service)} would lose its endpoint: it selects {key}={value}, but the exposure pod has"
                    f" {key}={labels[key]}",
                    f"expose Services with one {key} at a time; {KEEP}",
                )
    return labels


def joined(
    labels: Mapping[str, str], pods: Sequence[Json], services: Sequence[Json]
) -> tuple[dict[str, str], list[Json]]:
    """The labels with which the exposure pod is also found by other Services on the replaced pods.

    Args:
        labels: the pod's.
        pods: what it replaces (pods or templates), by their worth: what finds the first ones is found by first.
        services: the others of the namespace.

    Returns:
        The labels, and the Services that find the pod. The rest contradicts them, as Services do that select one pod
        of a StatefulSet each.
    """
    both = dict(labels)
    by_worth: dict[str, Json] = {}
    for pod in pods:
        for service in matching(services, (pod.get("metadata") or {}).get("labels") or {}):
            by_worth.setdefault(service["metadata"]["name"], service)
    finding = []
    for service in by_worth.values():
        selector = _selector(service)
        if all(both.get(key, value) == value for key, value in selector.items()):
            both |= selector
            finding.append(service)
    return both, finding


def _name(service: Json) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def _selector(service: Json) -> dict[str, str]:
    """A Service's selector; empty for an ExternalName Service, which ignores its selector."""
    spec = service.get("spec") or {}
    return {} if spec.get("type") == "ExternalName" else dict(spec.get("selector") or {})
