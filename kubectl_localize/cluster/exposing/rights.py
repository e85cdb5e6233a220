"""Which rights `expose` and `restore` use in a namespace, and which of them the user does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubectl_localize.cluster.api import Api, Json
from kubectl_localize.errors import ForbiddenError, NotFoundError

AUTHORIZATION = "/apis/authorization.k8s.io/v1"
AUTHENTICATION = ("/apis/authentication.k8s.io/v1", "/apis/authentication.k8s.io/v1beta1")  # v1: Kubernetes 1.28
CONCURRENT_REVIEWS = 8

_GROUPS = {"Deployment": "apps", "ReplicaSet": "apps", "ReplicationController": "", "StatefulSet": "apps"}
KINDS = tuple(_GROUPS)


@dataclass(frozen=True, order=True)
class Right:
    """One verb on one resource of a namespace, as RBAC counts them.

    Args:
        group: the API group, empty for Kubernetes' core.
        resource: its plural name.
        why: what it is used for, in a few words.
        optional: whether only the failsafe of our own rests on it, without which an exposure works too.
    """

    verb: str
    group: str
    resource: str
    subresource: str = ""
    why: str = field(default="", compare=False)
    optional: bool = field(default=False, compare=False)

    @property
    def of(self) -> str:
        """The resource as RBAC rules name it: `pods/portforward`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


WARNED_BY = (
    Right(
        "list", "networking.k8s.io", "networkpolicies", why="whether they apply to an exposure pod with other labels"
    ),
)
"""The rights without which nothing is missing but a warning."""


def needed(command: bool, failsafe: bool, kinds: Collection[str], switch: bool = False) -> tuple[Right, ...]:
    """Every right that exposing in a namespace, and undoing it, uses there.

    Args:
        command: whether a command runs in the container's environment (`-- COMMAND`).
        failsafe: whether the ServiceAccount, Role and RoleBinding of the failsafe are our own to make. A Role may only
            grant what its maker holds (https://kubernetes.io/docs/reference/access-authn-authz/rbac/, privilege
            escalation): get and update of the scale, which an exposure takes anyway.
        kinds: what is scaled, some of KINDS.
        switch: whether Services are switched (`--keep`).
    """
    return tuple(_needed(command, failsafe, kinds, switch))


def _needed(command: bool, failsafe: bool, kinds: Collection[str], switch: bool) -> Iterator[Right]:
    yield from _rights("get list watch", "", "services", why="what is exposed")
    if switch:
        yield from _rights("patch", "", "services", why="their selectors, there and back")
    yield from _rights("get list watch", "discovery.k8s.io", "endpointslices", why="who gets its traffic")
    yield from _rights("get list watch", "", "pods", why="whose pods these are, and when they are Ready or gone")
    yield from _rights("create delete", "", "pods", why="the exposure pod")
    yield from _rights("get create", "", "pods", "portforward", why="the way to the exposure pod")
    yield from _rights("create delete", "", "secrets", why="the keys of the exposure pod")
    yield from _rights("get list create update delete", "coordination.k8s.io", "leases", why="the journal")
    if command:
        for resource in ("secrets", "configmaps"):
            yield from _rights("get", "", resource, why="the environment of the container that COMMAND replaces")
    yield from _scaling(kinds)
    if failsafe:
        yield from _rights("get create delete", "", "serviceaccounts", why="the failsafe's name", optional=True)
        for resource in ("roles", "rolebindings"):
            yield from _rights(
                "get create delete", "rbac.authorization.k8s.io", resource, why="the failsafe's right", optional=True
            )


def _scaling(kinds: Collection[str]) -> Iterator[Right]:
    """What it takes to find workloads of these kinds (a Deployment through its ReplicaSets) and to scale them."""
    if kinds:
        yield from _rights("list", "autoscaling", "horizontalpodautoscalers", why="who else scales the workload")
    for kind in KINDS:
        group, plural = _GROUPS[kind], f"{kind.lower()}s"
        if kind in kinds or (kind == "ReplicaSet" and "Deployment" in kinds):
            yield from _rights("get", group, plural, why="what owns the pods")
        if kind in kinds:
            yield from _rights("get update", group, plural, "scale", why="down to zero, and back")


def _rights(
    verbs: str, group: str, resource: str, subresource: str = "", *, why: str, optional: bool = False
) -> Iterator[Right]:
    for verb in verbs.split():
        yield Right(verb, group, resource, subresource, why, optional)


async def granted(api: Api, namespace: str) -> list[Json]:
    """What the user may do in a namespace, the resource rules of a SelfSubjectRulesReview; none if it is refused.

    Raises:
        KubectlError: the server does not answer.
    """
    try:
        answer = await _review(api, AUTHORIZATION, "SelfSubjectRulesReview", {"namespace": namespace})
    except (NotFoundError, ForbiddenError):
        return []
    rules: list[Json] = answer.get("resourceRules") or []
    return rules


async def missing(api: Api, namespace: str, rights: Sequence[Right], rules: Sequence[Json]) -> list[Right]:
    """Those of these rights that the user does not have in a namespace, in the same order.

    The rules answer for nearly all. Their list may be incomplete if other authorizers than RBAC take part, so what
    it does not grant is asked for again one by one
    (https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-rules-review-v1/).

    Args:
        rules: what `granted` has returned.

    Raises:
        KubectlError: a review fails.
    """
    doubtful = [right for right in rights if not any(_grants(rule, right) for rule in rules)]
    limit = asyncio.Semaphore(CONCURRENT_REVIEWS)

    async def allowed(right: Right) -> bool:
        async with limit:
            return await _allowed(api, namespace, right)

    answers = await asyncio.gather(*(allowed(right) for right in doubtful))
    return [right for right, may in zip(doubtful, answers, strict=True) if not may]


async def who(api: Api) -> str:
    """The API server's name for the user, empty if it does not tell.

    Raises:
        KubectlError: any other failure than that the server has no SelfSubjectReview or does not let us ask
            (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#self-subject-review).
    """
    for version in AUTHENTICATION:
        try:
            answer = await _review(api, version, "SelfSubjectReview", {})
        except (NotFoundError, ForbiddenError):
            continue
        return str((answer.get("userInfo") or {}).get("username") or "")
    return ""


def describe(right: Right, namespace: str) -> str:
    """A right as `kubectl auth can-i --list` writes it: `update deployments.apps/scale in namespace shop`."""
    resource = f"{right.resource}.{right.group}" if right.group else right.resource
    subresource = f"/{right.subresource}" if right.subresource else ""
    return f"{right.verb} {resource}{subresource} in namespace {namespace}"


def _grants(rule: Mapping[str, Any], right: Right) -> bool:
    """Whether a rule grants a right on objects of any name, by RBAC's wildcards."""
    resources = {"*", right.of} | ({f"*/{right.subresource}"} if right.subresource else set())
    return (
        not rule.get("resourceNames")
        and not {"*", right.verb}.isdisjoint(rule.get("verbs") or ())
        and not {"*", right.group}.isdisjoint(rule.get("apiGroups") or ())
        and not resources.isdisjoint(rule.get("resources") or ())
    )


async def _allowed(api: Api, namespace: str, right: Right) -> bool:
    attributes = {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": right.resource,
        "subresource": right.subresource,
    }
    answer = await _review(api, AUTHORIZATION, "SelfSubjectAccessReview", {"resourceAttributes": attributes})
    return answer.get("allowed") is True


async def _review(api: Api, group_path: str, kind: str, spec: Mapping[str, Any]) -> Json:
    """Have the server answer one of its self-reviews; the `status` of what comes back."""
    manifest = {"apiVersion": group_path.removeprefix("/apis/"), "kind": kind}
    answer = await api.create(f"{group_path}/{kind.lower()}s", {**manifest, "spec": spec} if spec else manifest)
    status: Json = answer.get("status") or {}
    return status
