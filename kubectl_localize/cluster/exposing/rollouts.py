"""Whether scaling a workload to zero and back brings back the pods that it has now; pure.

It does not while a rollout goes on, hangs, or is held: what comes back is of the newest revision alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kubectl_localize.cluster.exposing.blockers import FORCE_OR_KEEP, KEEP, Blocker
from kubectl_localize.cluster.exposing.values import Workload

FINISHED = "NewReplicaSetAvailable"  # of the condition Progressing, from the end of a rollout to the next one's begin
REVISION_LABEL = "controller-revision-hash"

Json = dict[str, Any]


def unfinished(workload: Workload, pods: Sequence[Json]) -> Blocker | None:
    """What speaks against scaling a workload whose rollout is not over; None if nothing does.

    It can be overruled only if all pods that are there are of the newest revision.

    Source: what `kubectl rollout status` waits for,
    https://github.com/kubernetes/kubectl/blob/release-1.35/pkg/polymorphichelpers/rollout_status.go.

    Args:
        pods: the workload's, all of them.
    """
    judge = _JUDGES.get(workload.ref.kind)
    return next(judge(workload, pods), None) if judge is not None else None


def _deployment(workload: Workload, pods: Sequence[Json]) -> Iterator[Blocker]:
    by_hand = f"-n {workload.ref.namespace} {workload.ref.by_hand}"
    if workload.object["spec"].get("paused"):
        yield Blocker(
            f"{workload.ref} is paused: scaling it to zero and back may bring other pods than those that serve now",
            f"`kubectl rollout resume {by_hand}` ends that; {KEEP}",
            forcible=False,
        )
    status = _status(workload)
    updated = int(status.get("updatedReplicas") or 0)
    old = int(status.get("replicas") or 0) - updated
    yield from _not_observed(workload)
    if old > 0:
        yield _older_pods(workload, old, old + updated, _held_up(pods))
    reasons = {entry["type"]: entry.get("reason") for entry in status.get("conditions") or ()}
    available = int(status.get("availableReplicas") or 0)
    if reasons.get("Progressing") != FINISHED and available < workload.replicas:
        yield _not_ready(workload, available, _held_up(pods))


def _stateful_set(workload: Workload, pods: Sequence[Json]) -> Iterator[Blocker]:
    """Judge a StatefulSet by its pods' labels: its status counts no pods that a partition or OnDelete leaves alone."""
    status = _status(workload)
    newest = status.get("updateRevision")
    yield from _not_observed(workload)
    old = [pod for pod in pods if newest and (pod["metadata"].get("labels") or {}).get(REVISION_LABEL) != newest]
    if old:
        yield _older_pods(workload, len(old), len(pods), _held_up(pods) or _strategy(workload))
    ready = int(status.get("readyReplicas") or 0)
    if status.get("currentRevision") != newest and ready < workload.replicas:
        yield _not_ready(workload, ready, _held_up(pods))


def _replica_set(workload: Workload, pods: Sequence[Json]) -> Iterator[Blocker]:
    """Judge a ReplicaSet or ReplicationController, which never replaces a pod because its template has changed."""
    wanted = {entry["name"]: entry.get("image") for entry in workload.template["spec"].get("containers") or ()}
    old = [
        pod
        for pod in pods
        if any(
            entry.get("image") != wanted[entry["name"]]
            for entry in pod["spec"].get("containers") or ()
            if entry["name"] in wanted
        )
    ]
    if old:
        yield Blocker(
            f"{len(old)} of {len(pods)} pods of {workload.ref} run another image than its template says:"
            " scaling it to zero and back would bring only pods with that one",
            FORCE_OR_KEEP,
            forcible=True,  # admission may have changed the image, and does so again
        )


_JUDGES: Mapping[str, Callable[[Workload, Sequence[Json]], Iterator[Blocker]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "ReplicaSet": _replica_set,
    "ReplicationController": _replica_set,
}


def _not_observed(workload: Workload) -> Iterator[Blocker]:
    generation = int(workload.object["metadata"].get("generation") or 0)
    if int(_status(workload).get("observedGeneration") or 0) < generation:
        yield Blocker(f"{workload.ref} has just been changed", _wait_or_keep(workload), forcible=False)


def _older_pods(workload: Workload, old: int, count: int, why: str) -> Blocker:
    return Blocker(
        f"the rollout of {workload.ref} is not finished{why}: {old} of {count} pods are of an older revision,"
        " and scaling to zero and back would bring only the newest one",
        _wait_or_keep(workload),
        forcible=False,
    )


def _not_ready(workload: Workload, ready: int, why: str) -> Blocker:
    return Blocker(
        f"the rollout of {workload.ref} is not finished{why}: {ready} of {workload.replicas} pods are available",
        f"{_wait_or_keep(workload)}; --force goes on",
        forcible=True,
    )


def _wait_or_keep(workload: Workload) -> str:
    return f"`kubectl rollout status -n {workload.ref.namespace} {workload.ref.by_hand}` waits for its end; {KEEP}"


def _held_up(pods: Sequence[Json]) -> str:
    """What keeps the first pod that does not start: ` (pod web-abc: ImagePullBackOff)`."""
    for pod in pods:
        for entry in (pod.get("status") or {}).get("containerStatuses") or ():
            reason = ((entry.get("state") or {}).get("waiting") or {}).get("reason")
            if reason and reason != "ContainerCreating":
                return f" (pod {pod['metadata']['name']}: {reason})"
    return ""


def _strategy(workload: Workload) -> str:
    strategy = workload.object["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return " (its update strategy is OnDelete)"
    partition = (strategy.get("rollingUpdate") or {}).get("partition")
    return f" (its update strategy has partition {partition})" if partition else ""


def _status(workload: Workload) -> Mapping[str, Any]:
    status: Mapping[str, Any] = workload.object.get("status") or {}
    return status
