"""What speaks against scaling a workload to zero; pure decisions from the objects that the API server returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_localize.cluster.exposing.values import Workload
from kubectl_localize.cluster.exposing.workloads import Owners, controller

# The checks put what was asked for in the place of SERVICE, so that it can be typed as it is.
KEEP = "`kubectl localize expose SERVICE --keep` leaves the pods as they are, and switches the Service to this machine"
FORCE_OR_KEEP = f"{KEEP}; --force goes on all the same"

KEDA_LABEL = "scaledobject.keda.sh/name"  # on the HorizontalPodAutoscalers that KEDA makes


@dataclass(frozen=True)
class _Tool:
    """A GitOps tool, and how it is recognized.

    Args:
        name: what people call it.
        marks: labels and annotations that it puts on what it manages.
        managers: what it calls itself in `metadata.managedFields`.
    """

    name: str
    marks: tuple[str, ...]
    managers: tuple[str, ...]


# Argo CD's usual label, app.kubernetes.io/instance, is also Helm's and many others', so it says nothing; what Argo CD
# has applied it has signed as a manager (https://argo-cd.readthedocs.io/en/stable/user-guide/resource_tracking/).
_TOOLS = (
    _Tool(
        "Argo CD",
        ("argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"),
        ("argocd-controller", "argocd-application-controller"),
    ),
    _Tool(
        "Flux",
        ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name"),
        ("kustomize-controller", "helm-controller"),
    ),
)


@dataclass(frozen=True)
class Blocker:
    """One reason against an exposure.

    Args:
        message: a sentence without a full stop.
        hint: what to do instead.
        forcible: whether `--force` overrules it.
    """

    message: str
    hint: str
    forcible: bool


def blockers(workload: Workload, autoscalers: Sequence[Mapping[str, Any]]) -> list[Blocker]:
    """All that speaks against scaling this workload to zero, what cannot be overruled first.

    Args:
        autoscalers: the HorizontalPodAutoscalers of its namespace.
    """
    return [
        *_fatal(workload),
        *(Blocker(message, FORCE_OR_KEEP, forcible=True) for message in _managed(workload)),
        *(Blocker(message, FORCE_OR_KEEP, forcible=True) for message in _autoscaled(workload, autoscalers)),
    ]


def foreign(owners: Owners) -> Blocker | None:
    """What speaks against exposing pods of which some cannot be scaled; None if all can.

    Beside a workload, such as a Deployment whose migration Job carries its labels, they may go on with their part.
    """
    if not owners.others:
        return None
    names = ", ".join(owners.others)
    if owners.workloads:
        return Blocker(
            f"not all pods can be scaled down, and would get their part of the traffic as before: {names}",
            FORCE_OR_KEEP,
            forcible=True,
        )
    return Blocker(f"not all pods can be scaled down: {names}", KEEP, forcible=False)


def _fatal(workload: Workload) -> Iterator[Blocker]:
    if workload.replicas == 0:
        yield Blocker(f"{workload.ref} has no replicas", "scale it up first", forcible=False)
    retention = workload.object["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    if retention.get("whenScaled") == "Delete":
        yield Blocker(
            f"scaling {workload.ref} to zero would delete its volumes"
            " (persistentVolumeClaimRetentionPolicy.whenScaled is Delete)",
            KEEP,
            forcible=False,
        )


def _managed(workload: Workload) -> Iterator[str]:
    """Who else decides on the workload's replicas."""
    owner = controller(workload.object)
    if owner:
        yield f"{workload.ref} is controlled by {owner}, which may scale it up again at any time"
    if tool := managing_tool(workload.object):
        yield f"{workload.ref} is managed by {tool}, which may scale it up again at any time"


def managing_tool(item: Mapping[str, Any]) -> str:
    """The GitOps tool that manages an object, with the evidence: `Flux (field manager helm-controller)`; else empty."""
    meta = item["metadata"]
    marks = {**(meta.get("labels") or {}), **(meta.get("annotations") or {})}
    managers = {entry.get("manager") for entry in meta.get("managedFields") or ()}
    for tool in _TOOLS:
        evidence = next((f"{mark}: {marks[mark]}" for mark in tool.marks if mark in marks), "") or next(
            (f"field manager {manager}" for manager in tool.managers if manager in managers), ""
        )
        if evidence:
            return f"{tool.name} ({evidence})"
    return ""


def _autoscaled(workload: Workload, autoscalers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for autoscaler in autoscalers:
        meta, target = autoscaler["metadata"], autoscaler["spec"]["scaleTargetRef"]
        if meta["namespace"] != workload.ref.namespace or not _is_target(target, workload):
            continue
        scaled_object = (meta.get("labels") or {}).get(KEDA_LABEL)
        if scaled_object:
            yield f"KEDA scales {workload.ref} (ScaledObject {scaled_object}) and may scale it up again at any time"
        else:
            yield (
                f"HorizontalPodAutoscaler {meta['name']} scales {workload.ref}:"
                " scaling to zero switches it off until the workload is scaled up again"
            )


def _is_target(target: Mapping[str, Any], workload: Workload) -> bool:
    """Whether a scaleTargetRef means the workload; the version of its API group may differ."""
    group = (target.get("apiVersion") or workload.ref.api_version).rpartition("/")[0]
    own = workload.ref.api_version.rpartition("/")[0]
    return (group, target["kind"], target["name"]) == (own, workload.ref.kind, workload.ref.name)
