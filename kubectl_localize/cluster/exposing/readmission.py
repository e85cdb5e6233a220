"""Whether a workload's pods would be taken once more: what admission refuses by now would not come back; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_localize.cluster.exposing.blockers import FORCE_OR_KEEP, Blocker
from kubectl_localize.cluster.exposing.labels import HASH_LABELS
from kubectl_localize.cluster.exposing.refusals import is_refusal
from kubectl_localize.cluster.exposing.values import Workload
from kubectl_localize.errors import KubectlError

Json = dict[str, Any]


def as_pod(workload: Workload, example: Mapping[str, Any]) -> Json:
    """A pod as the workload's controller would make it, for a dry run.

    Args:
        example: one of its pods, which has the labels and the owner that the controller adds.
    """
    template = workload.template
    meta = template.get("metadata") or {}
    added = {key: value for key, value in (example["metadata"].get("labels") or {}).items() if key in HASH_LABELS}
    owners = [
        {key: value for key, value in owner.items() if key != "blockOwnerDeletion"}  # which takes a right of its own
        for owner in example["metadata"].get("ownerReferences") or ()
    ]
    spec = {**template["spec"], "volumes": [*(template["spec"].get("volumes") or ()), *_claims(workload)]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"{workload.ref.name}-",
            "namespace": workload.ref.namespace,
            "labels": {**(meta.get("labels") or {}), **added},
            "annotations": dict(meta.get("annotations") or {}),
            "ownerReferences": owners,
        },
        "spec": spec,
    }


def refused_now(workload: Workload, error: KubectlError) -> Blocker | None:
    """What speaks against scaling a workload whose pods are refused in a dry run; None if it says nothing.

    A full quota says nothing: the pods that are there count in it, and will not then.
    """
    if not is_refusal(error) or "exceeded quota" in error.message:
        return None
    return Blocker(
        f"the pods of {workload.ref} would not come back: {error.message}",
        FORCE_OR_KEEP,
        forcible=True,
    )


def _claims(workload: Workload) -> list[Json]:
    """The volumes that a StatefulSet's controller adds for its claims."""
    names = [claim["metadata"]["name"] for claim in workload.object["spec"].get("volumeClaimTemplates") or ()]
    return [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{workload.ref.name}-0"}} for name in names]
