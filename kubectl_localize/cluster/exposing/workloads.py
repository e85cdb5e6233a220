"""Finds the workloads that own pods: from a pod through its controllers up to an object that can be scaled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_localize.cluster.api import Api, Json
from kubectl_localize.cluster.exposing.values import SCALABLE, TEMPLATE_HASH_LABEL, Workload, WorkloadRef
from kubectl_localize.errors import KubectlError

SHOWN = 3  # pods of one owner in a sentence


@dataclass(frozen=True, order=True)
class Controller:
    """The owner reference that is an object's controller.

    Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
    """

    api_version: str
    kind: str
    name: str
    uid: str

    @property
    def scalable(self) -> bool:
        """Whether we can scale objects of this kind."""
        return (self.api_version, self.kind) in SCALABLE

    def __str__(self) -> str:
        """`DaemonSet logs`; with its API if that is none of Kubernetes' own: `Rollout argoproj.io/v1alpha1 cart`."""
        group = self.api_version.rpartition("/")[0]
        own = "." not in group or group.endswith(".k8s.io")
        return f"{self.kind} {self.name}" if own else f"{self.kind} {self.api_version} {self.name}"


@dataclass(frozen=True)
class Owners:
    """Whose pods they are.

    Args:
        workloads: what can be scaled.
        others: what owns the remaining pods, in words: `Job migrate (pod migrate-x7k2p)`, `no owner (pod cart-1)`.
    """

    workloads: tuple[Workload, ...]
    others: tuple[str, ...]


def controller(item: Mapping[str, Any]) -> Controller | None:
    """The controller of an object, None if it has none."""
    for owner in item["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            return Controller(owner["apiVersion"], owner["kind"], owner["name"], owner["uid"])
    return None


def likely_kinds(pods: Sequence[Json]) -> set[str]:
    """The kinds of the workloads that own these pods, as far as the pods alone tell: a ReplicaSet is a Deployment's."""
    direct = {owner.kind for owner in map(controller, pods) if owner and owner.scalable}
    return {"Deployment" if kind == "ReplicaSet" else kind for kind in direct}


async def owners(api: Api, namespace: str, pods: Sequence[Json]) -> Owners:
    """Find what owns these pods and can be scaled, and what else owns some of them.

    A ReplicaSet of a Deployment leads on to that. One of something else is itself what is scaled; that something is a
    blocker (blockers.py). Each object is fetched once, in the pods' own namespace, which owner references never
    leave; an object with another uid is not the owner; it only has the name of a deleted one.

    Raises:
        KubectlError: an owner cannot be fetched.
    """
    direct = {pod["metadata"]["name"]: controller(pod) for pod in pods}
    objects, likely = await asyncio.gather(
        _fetch(api, namespace, {owner for owner in direct.values() if owner and owner.scalable}),
        _likely_deployments(api, namespace, pods),
    )
    above = {owner: _deployment(item) for owner, item in objects.items()}
    deployments = {deployment for deployment in above.values() if deployment}
    objects |= {deployment: likely[deployment.uid] for deployment in deployments if deployment.uid in likely}
    objects |= await _fetch(api, namespace, deployments - objects.keys())

    workloads: dict[WorkloadRef, Workload] = {}
    others: dict[str, list[str]] = {}
    for pod, owner in direct.items():
        top = (above.get(owner) or owner) if owner else None
        if top is None:
            others.setdefault("no owner", []).append(pod)
        elif not top.scalable:
            others.setdefault(str(top), []).append(pod)
        elif top not in objects:
            others.setdefault(f"the deleted {top}", []).append(pod)
        else:
            workload = _workload(top, namespace, objects[top])
            workloads[workload.ref] = workload
    words = (f"{owner} ({_words(sorted(names))})" for owner, names in sorted(others.items()))
    return Owners(tuple(workloads[ref] for ref in sorted(workloads)), tuple(words))


async def pods_of(
    api: Api, namespace: str, selector: Mapping[str, str], pods: Sequence[Json], behind: Owners
) -> list[Json]:
    """All pods of the workloads behind some pods that a Service selects, also those that it does not select.

    Args:
        selector: the Service's.
        pods: what it selects.
        behind: their owners.

    Raises:
        KubectlError: they cannot be listed.
    """
    listed = await asyncio.gather(
        *(
            api.items("v1", "pods", namespace, selector_text(workload))
            for workload in behind.workloads
            if not selector.items() <= _match_labels(workload).items()
        )
    )
    candidates = {pod["metadata"]["name"]: pod for pod in [*pods, *(pod for page in listed for pod in page)]}
    return [
        pod
        for _, pod in sorted(candidates.items())
        if counts(pod) and any(owned(workload, pod) for workload in behind.workloads)
    ]


def owned(workload: Workload, pod: Json) -> bool:
    """Whether a pod is this workload's; a Deployment's belongs to a ReplicaSet that is called after it."""
    owner = controller(pod)
    if owner is None:
        return False
    through = owner.kind == "ReplicaSet" and owner.name.rpartition("-")[0] == workload.ref.name
    return owner.uid == workload.uid or (workload.ref.kind == "Deployment" and through)


def counts(pod: Json) -> bool:
    """Whether a pod is there to stay: it neither terminates nor has ended."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def selector_text(workload: Workload) -> str:
    """A workload's selector as the API takes it in a query: `app=cart,tier in (back,front)`."""
    expressions = (workload.object["spec"].get("selector") or {}).get("matchExpressions") or ()
    words = {
        "Exists": "{key}",
        "DoesNotExist": "!{key}",
        "In": "{key} in ({values})",
        "NotIn": "{key} notin ({values})",
    }
    return ",".join(
        [
            *(f"{key}={value}" for key, value in sorted(_match_labels(workload).items())),
            *(
                words[entry["operator"]].format(key=entry["key"], values=",".join(entry.get("values") or ()))
                for entry in expressions
            ),
        ]
    )


def _match_labels(workload: Workload) -> dict[str, str]:
    """The labels that all pods of a workload have; a ReplicationController's selector is nothing but labels."""
    selector = workload.object["spec"].get("selector") or {}
    return dict(selector if workload.ref.kind == "ReplicationController" else selector.get("matchLabels") or {})


async def _fetch(api: Api, namespace: str, wanted: Collection[Controller]) -> dict[Controller, Json]:
    """Fetch these controllers' objects; leave out those that no longer exist under the same uid."""
    ordered = sorted(wanted)
    answers = await asyncio.gather(*(api.find(_ref(owner, namespace).path) for owner in ordered))
    return {
        owner: item
        for owner, item in zip(ordered, answers, strict=True)
        if item and item["metadata"]["uid"] == owner.uid
    }


async def _likely_deployments(api: Api, namespace: str, pods: Sequence[Json]) -> dict[str, Json]:
    """The Deployments, by uid, that these pods are called after, so that they are fetched beside the ReplicaSets.

    A ReplicaSet is called as its Deployment and the hash that its pods are labelled with
    (https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pod-template-hash-label).
    """

    async def find(name: str) -> Json | None:
        with contextlib.suppress(KubectlError):  # perhaps there is no Deployment of that name
            return await api.find(WorkloadRef("apps/v1", "Deployment", namespace, name).path)
        return None

    names = set()
    for pod in pods:
        owner, label = controller(pod), (pod["metadata"].get("labels") or {}).get(TEMPLATE_HASH_LABEL)
        if owner and owner.kind == "ReplicaSet" and label and owner.name.endswith(f"-{label}"):
            names.add(owner.name.removesuffix(f"-{label}"))
    answers = await asyncio.gather(*(find(name) for name in sorted(names)))
    return {item["metadata"]["uid"]: item for item in answers if item}


def _deployment(item: Json) -> Controller | None:
    """The Deployment above a ReplicaSet."""
    owner = controller(item)
    return owner if owner and (owner.api_version, owner.kind) == ("apps/v1", "Deployment") else None


def _words(pods: Sequence[str]) -> str:
    """Names of pods, not too many: `pod cart-1`, `pods cart-1, cart-2, cart-3 and 4 more`."""
    more = f" and {len(pods) - SHOWN} more" if len(pods) > SHOWN else ""
    return f"pod{'s' if len(pods) > 1 else ''} {', '.join(pods[:SHOWN])}{more}"


def _ref(owner: Controller, namespace: str) -> WorkloadRef:
    return WorkloadRef(owner.api_version, owner.kind, namespace, owner.name)


def _workload(owner: Controller, namespace: str, item: Json) -> Workload:
    return Workload(_ref(owner, namespace), owner.uid, int(item["spec"].get("replicas", 1)), item)
