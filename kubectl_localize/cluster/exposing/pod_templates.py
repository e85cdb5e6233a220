"""Makes up a pod template from pods that no workload is asked for; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubectl_localize.cluster.api import Json

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def as_template(pods: Sequence[Json], selector: Mapping[str, str]) -> Json:
    """The template of the first of these pods; without any, of one that has nothing but what is selected."""
    if not pods:
        return {"metadata": {"labels": dict(selector)}, "spec": {"containers": []}}
    pod = pods[0]
    metadata = {part: pod["metadata"].get(part) or {} for part in ("labels", "annotations")}
    return {"metadata": metadata, "spec": _movable(pod["spec"])}


def _movable(spec: Json) -> Json:
    """The spec without the node that a DaemonSet binds each of its pods to, by a term on the node's name."""
    affinity = spec.get("affinity") or {}
    node_affinity = affinity.get("nodeAffinity") or {}
    terms = (node_affinity.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()
    if not any(term.get("matchFields") for term in terms):
        return spec
    elsewhere = [{name: value for name, value in term.items() if name != "matchFields"} for term in terms]
    required = {"nodeSelectorTerms": elsewhere} if all(elsewhere) else None  # an empty term would match no node
    return {**spec, "affinity": {**affinity, "nodeAffinity": {**node_affinity, REQUIRED: required}}}
