"""What of an exposure pod may be otherwise: its resources, labels, annotations and probes; pure decisions.

Ours are small and fixed. A LimitRange, a quota or a policy may want others. The replaced pods have passed it, so the
pod then follows them, no further than it is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubectl_localize.cluster.exposing.environment import pick_container, quantity
from kubectl_localize.cluster.exposing.labels import HASH_LABELS
from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.model import Pairs, PodOptions

RESOURCES = ("cpu", "memory", "ephemeral-storage")  # an exposure pod has no use for a GPU
# Parts of the keys of labels and annotations that mean the replaced pod itself, a container or a sidecar of it.
FOREIGN_KEYS = ("kubectl.kubernetes.io/", "istio.io/", "linkerd.io/", "apparmor", "seccomp", "cni.", "k8s.ovn.org/")

Json = dict[str, Any]
Amounts = Mapping[str, str]


@dataclass(frozen=True)
class Resources:
    """A container's requests and limits, by resource."""

    requests: Amounts
    limits: Amounts

    def manifest(self) -> Json:
        """The container's `resources`; what is empty is left out."""
        parts = {"requests": dict(self.requests), "limits": dict(self.limits)}
        return {name: amounts for name, amounts in parts.items() if amounts}


# A processor is all that a session's one thread can use, so the limit slows nothing.
SSHD = Resources({"cpu": "10m", "memory": "16Mi"}, {"cpu": "1", "memory": "256Mi"})
FAILSAFE = Resources({"cpu": "10m", "memory": "16Mi"}, {"cpu": "500m", "memory": "64Mi"})


@dataclass(frozen=True)
class PodShape:
    """One way to make the pod.

    Args:
        sshd, failsafe: the containers' resources.
        labels, annotations: more than the plan's.
        probes: whether every container has both probes.
    """

    sshd: Resources = SSHD
    failsafe: Resources = FAILSAFE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    probes: bool = False


OURS = PodShape()


def shapes(plan: ExposurePlan) -> Iterator[PodShape]:
    """The ways to make a plan's pod, ours first; each later one follows the replaced pods in one thing more."""
    like = _like(plan)
    last = PodShape(asked_for(SSHD, plan.options), asked_for(FAILSAFE, plan.options))
    yield last
    steps: tuple[dict[str, Any], ...] = (
        {"sshd": asked_for(merged(SSHD, like), plan.options)},
        {"failsafe": asked_for(merged(FAILSAFE, like), plan.options)},
        {"labels": labels_of(plan), "annotations": annotations_of(plan)},
        {"probes": True},
    )
    for step in steps:
        shape = replace(last, **step)
        if shape != last:
            yield shape
        last = shape


def merged(ours: Resources, theirs: Resources) -> Resources:
    """Their amounts of each resource of which they have any, ours of the others."""
    known = theirs.requests.keys() | theirs.limits.keys()
    return Resources(
        {**{name: amount for name, amount in ours.requests.items() if name not in known}, **theirs.requests},
        {**{name: amount for name, amount in ours.limits.items() if name not in known}, **theirs.limits},
    )


def asked_for(resources: Resources, options: PodOptions) -> Resources:
    """Resources as the flags change them. If a request is above its limit then, what was not asked for gives way."""
    wanted_requests, wanted_limits = dict(options.requests), dict(options.limits)
    requests, limits = {**resources.requests, **wanted_requests}, {**resources.limits, **wanted_limits}
    for name in requests.keys() & limits.keys():
        if 0 < quantity(limits[name]) < quantity(requests[name]):
            if name in wanted_requests and name not in wanted_limits:
                limits[name] = requests[name]
            elif name not in wanted_requests:
                requests[name] = limits[name]
    return Resources(_more_than_zero(requests), _more_than_zero(limits))


def labels_of(plan: ExposurePlan) -> dict[str, str]:
    """The replaced pods' labels by which no Service selects, so that the pod comes into no Service by them."""
    left_out = HASH_LABELS | plan.selected_keys
    return {key: value for key, value in _followed(plan, "labels").items() if key not in left_out}


def annotations_of(plan: ExposurePlan) -> dict[str, str]:
    """The replaced pods' annotations, but for those that mean these pods themselves."""
    return _followed(plan, "annotations")


def _followed(plan: ExposurePlan, part: str) -> dict[str, str]:
    pairs = (plan.replaced.get("metadata") or {}).get(part) or {}
    return {key: value for key, value in pairs.items() if not any(foreign in key for foreign in FOREIGN_KEYS)}


def followed_options(plan: ExposurePlan) -> PodOptions:
    """The flags, and below them the replaced pods' labels and annotations, for objects that are refused without."""
    labels = {**labels_of(plan), **dict(plan.options.labels)}
    annotations = {**annotations_of(plan), **dict(plan.options.annotations)}
    return replace(plan.options, labels=tuple(labels.items()), annotations=tuple(annotations.items()))


def followed_uid(plan: ExposurePlan) -> int:
    """The user that the replaced pod runs as; 0 if that is root, or if it does not say."""
    spec = plan.example_spec or plan.replaced.get("spec") or {}
    holders = [*(spec.get("containers") or ()), spec]
    return next((uid for holder in holders if (uid := (holder.get("securityContext") or {}).get("runAsUser") or 0)), 0)


def _like(plan: ExposurePlan) -> Resources:
    """The resources of the container that is replaced, as admission has left them in a pod that runs."""
    spec = plan.example_spec or plan.replaced.get("spec") or {}
    container = pick_container({"metadata": {}, "spec": spec}, plan.ports) if spec.get("containers") else {}
    resources = container.get("resources") or {}
    return Resources(
        *(
            {name: str(amount) for name, amount in (resources.get(part) or {}).items() if name in RESOURCES}
            for part in ("requests", "limits")
        )
    )


def _more_than_zero(amounts: Amounts) -> dict[str, str]:
    return {name: amount for name, amount in amounts.items() if quantity(amount)}


# -- the flags --------------------------------------------------------------------------------------------------------
def parse_amounts(text: str) -> Pairs:
    """Read `cpu=100m,memory=64Mi`, as `kubectl set resources` takes it.

    Raises:
        ValueError: it is something else; the message is a sentence.
    """
    amounts = parse_pairs(text)
    for name, amount in amounts:
        if name not in RESOURCES:
            raise ValueError(f"{name!r} is none of {', '.join(RESOURCES)}")
        try:
            quantity(amount)
        except ValueError:
            raise ValueError(f"{amount!r} is no amount such as 100m, 64Mi or 1.5") from None
    return amounts


def parse_pairs(text: str) -> Pairs:
    """Read `KEY=VALUE,KEY=VALUE`; each key once, the last one counts.

    Raises:
        ValueError: it is something else; the message is a sentence.
    """
    pairs: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise ValueError(f"{part!r} is not KEY=VALUE")
        pairs[key] = value
    return tuple(pairs.items())
