"""All that is found out before anything is changed: what is exposed, whose pods go, and what speaks against it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing import access, failsafe, journal, ports
from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.objections import Objection, foreign, objections
from kubectl_localize.cluster.exposing.pod import DEFAULT_IMAGE
from kubectl_localize.cluster.exposing.values import (
    SESSION_LABEL,
    CarriedPort,
    ExposurePlan,
    FailsafePlan,
    PortMap,
    Workload,
    WorkloadRef,
)
from kubectl_localize.cluster.exposing.workloads import Owners, likely_kinds, owners
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.back import journals, object_name
from kubectl_localize.supervisor.exposing.order import ExposeOrder

Json = dict[str, Any]

SESSION_CHARACTERS = "bcdfghjkmnpqrstvwxz2456789"  # none that make words or are taken for one another
SESSION_LENGTH = 6
RBAC_HINT = "docs/rbac.yaml of kubectl localize is the Role to ask an admin for"


@dataclass(frozen=True)
class Found:
    """One Service that was asked for, and who is behind it.

    Args:
        sessions: of the exposure pods that it has already.
    """

    key: ServiceKey
    service: Json
    pods: tuple[Json, ...]
    owners: Owners
    sessions: frozenset[str]


@dataclass(frozen=True)
class Findings:
    """What the checks have come to.

    Args:
        plans: one for each group of Services that share workloads.
        user: the API server's name for us; empty where it does not say.
        warnings: what is missing but does not stop it.
        not_carried: ports that stay without an endpoint, in words.
    """

    plans: tuple[ExposurePlan, ...]
    user: str
    warnings: tuple[str, ...]
    not_carried: tuple[str, ...]


class Checks:
    """The checks for one order.

    Args:
        listens: whether something listens on a host and port of this machine; None where that cannot be known.
        now: the wall clock, in UTC.
        advice: what to do about a session that holds what we want, in one sentence.
    """

    def __init__(
        self,
        api: Api,
        order: ExposeOrder,
        *,
        listens: Callable[[str, int], bool | None],
        now: Callable[[], datetime],
        advice: Callable[[Sequence[Entry]], str],
    ) -> None:
        self._api = api
        self._order = order
        self._listens = listens
        self._now = now
        self._advice = advice
        self._warnings: list[str] = []
        self._not_carried: list[str] = []

    async def run(self) -> Findings:
        """Check everything.

        Raises: LocalizeError with what speaks against it; nothing has been changed.
        """
        namespaces = sorted({key.namespace for key in self._order.services})
        user, plans = await asyncio.gather(
            access.who(self._api), asyncio.gather(*(self._namespace(namespace) for namespace in namespaces))
        )
        found = tuple(plan for some in plans for plan in some)
        if not (self._order.force or self._order.command):
            self._must_listen(found)
        return Findings(found, user, tuple(self._warnings), tuple(dict.fromkeys(self._not_carried)))

    async def _namespace(self, namespace: str) -> list[ExposurePlan]:
        keys = [key for key in self._order.services if key.namespace == namespace]
        try:
            services, autoscalers, leases = await asyncio.gather(
                self._api.items("v1", "services", namespace),
                self._autoscalers(namespace),
                self._journals(namespace),
            )
        except ForbiddenError:
            await self._judge_rights(namespace, ())
            raise
        found = await asyncio.gather(*(self._find(key, services) for key in keys))
        kinds = {workload.ref.kind for one in found for workload in one.owners.workloads}
        own = await self._judge_rights(namespace, () if self._order.keep else kinds)
        self._judge_journals(found, leases)
        for one in found:
            self._judge_owners(one, autoscalers)
        return [self._plan(group, services, own_failsafe=own) for group in _groups(found)]

    async def _autoscalers(self, namespace: str) -> list[Json]:
        """The HorizontalPodAutoscalers; none where they may not be listed, which the check of rights says."""
        try:
            return await self._api.items("autoscaling/v2", "horizontalpodautoscalers", namespace)
        except ForbiddenError:
            return []

    async def _journals(self, namespace: str) -> list[Entry]:
        try:
            return await journals(self._api, [namespace])
        except ForbiddenError:
            return []

    # -- whose pods ---------------------------------------------------------------------------------------------------
    async def _find(self, key: ServiceKey, services: Sequence[Json]) -> Found:
        service = next((one for one in services if one["metadata"]["name"] == key.name), None)
        if service is None:
            raise LocalizeError(f"there is no Service {key.name} in namespace {key.namespace}", _near(key, services))
        selector = (service["spec"] or {}).get("selector") or {}
        if service["spec"].get("type") == "ExternalName":
            raise LocalizeError(
                f"{key} is of type ExternalName, so there is nothing that could be replaced",
                "expose a Service that has a selector",
            )
        if not selector:
            raise LocalizeError(f"{key} has no selector, so no pod can take its traffic", "give the Service a selector")
        labels = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
        pods: list[Json] = []
        try:
            there = await self._api.items("v1", "pods", key.namespace, labels)
            pods += [pod for pod in there if not _session(pod) and _counts(pod)]
            behind = await owners(self._api, key.namespace, pods)
        except ForbiddenError:
            await self._judge_rights(key.namespace, likely_kinds(pods))  # which says it in the words of a role
            raise
        return Found(key, service, tuple(pods), behind, frozenset(map(_session, there)) - {""})

    def _judge_owners(self, found: Found, autoscalers: Sequence[Json]) -> None:
        if self._order.keep:
            return
        if not found.pods:
            raise LocalizeError(
                f"{found.key} has no pods, so there is nothing to replace",
                f"see `kubectl get pods -n {found.key.namespace}`; `kubectl localize restore` undoes a crashed run",
            )
        objection = foreign(found.owners)
        against = [objection] if objection is not None else []
        for workload in found.owners.workloads:
            against += objections(workload, autoscalers)
        for one in sorted(against, key=lambda one: one.forcible):
            self._object(one)

    def _object(self, objection: Objection) -> None:
        if objection.forcible and self._order.force:
            self._warnings.append(objection.message)
        else:
            raise LocalizeError(objection.message, objection.hint)

    # -- rights and colleagues ----------------------------------------------------------------------------------------
    @property
    def _own_failsafe(self) -> bool:
        order = self._order
        return bool(order.failsafe_seconds) and not order.failsafe_service_account and not order.keep

    async def _judge_rights(self, namespace: str, kinds: Collection[str]) -> bool:
        """Whether the failsafe may be ours; it is done without where its rights are missing."""
        needed = set(access.needed(command=self._order.command, failsafe=False, kinds=kinds))
        wanted = access.needed(command=self._order.command, failsafe=self._own_failsafe, kinds=kinds)
        lacking = await access.missing(self._api, namespace, wanted)
        refused = [right for right in lacking if right in needed]
        if refused:
            words = ", ".join(access.in_words(right, namespace) for right in refused)
            raise ForbiddenError(f"you may not {words}", RBAC_HINT)
        if lacking:
            words = ", ".join(access.in_words(right, namespace) for right in lacking)
            self._warnings.append(
                f"no failsafe: you may not {words}, so if"
                " this machine vanishes, only `kubectl localize restore` brings the pods back;"
                " --failsafe-service-account names one that an admin made, --failsafe off ends this warning"
            )
        return self._own_failsafe and not lacking

    def _judge_journals(self, found: Sequence[Found], leases: Sequence[Entry]) -> None:
        for one in found:
            wanted = {_as_workload(one.key), *(workload.ref for workload in one.owners.workloads)}
            holders = [
                entry
                for entry in leases
                if entry.workload in wanted or str(one.key) in entry.services or entry.session in one.sessions
            ]
            if holders:
                held = [entry for entry in leases if entry.session == holders[0].session]
                raise exposed_already(one.key, held, self._now(), self._advice)

    # -- the plan -----------------------------------------------------------------------------------------------------
    def _plan(self, group: Sequence[Found], services: Sequence[Json], *, own_failsafe: bool) -> ExposurePlan:
        order = self._order
        workloads = () if order.keep else _workloads(group)
        templates = [workload.template for workload in _workloads(group)] or [_as_template(group)]
        asked = [one.service for one in group]
        if order.keep:  # no Service loses its endpoints, so the pod only joins those that cannot be avoided
            labels = ports.pod_labels([{"metadata": {}}], asked)
            others = _besides(asked, ports.matching(services, labels))
        else:
            of_templates = [dict((one.get("metadata") or {}).get("labels") or {}) for one in templates]
            others = _besides(asked, [one for some in of_templates for one in ports.matching(services, some)])
            labels = ports.pod_labels([dict(template) for template in templates], [*asked, *others])
            _refuse_strangers(ports.matching(services, labels), [*asked, *others])
        carried, not_carried = ports.carried(asked, others, dict(templates[0]), self._maps(group))
        self._not_carried += not_carried
        standing_in = next((workload for workload in workloads if workload.ref.kind == "StatefulSet"), None)
        session = "".join(secrets.choice(SESSION_CHARACTERS) for _ in range(SESSION_LENGTH))
        image = order.image or DEFAULT_IMAGE
        sshd_port, heartbeat_port = ports.own_ports([port.number for port in carried])
        pull_secrets = [
            one["name"] for template in templates for one in (template["spec"].get("imagePullSecrets") or ())
        ]
        return ExposurePlan(
            namespace=group[0].key.namespace,
            services=tuple(one.key for one in group),
            workloads=workloads,
            replaced=templates[0],
            labels=tuple(sorted(labels.items())),
            ports=carried,
            sshd_port=sshd_port,
            heartbeat_port=heartbeat_port,
            image=image,
            session=session,
            image_pull_secrets=tuple(
                dict.fromkeys([*pull_secrets, *([order.image_pull_secret] if order.image_pull_secret else [])])
            ),
            hostname=f"{standing_in.ref.name}-{_first_ordinal(standing_in)}" if standing_in else "",
            subdomain=str(standing_in.object["spec"].get("serviceName") or "") if standing_in else "",
            failsafe=self._failsafe(workloads, session, image, own=own_failsafe),
            keep=order.keep,
        )

    def _failsafe(self, workloads: Sequence[Workload], session: str, image: str, *, own: bool) -> FailsafePlan | None:
        order = self._order
        if not workloads or not order.failsafe_seconds or not (own or order.failsafe_service_account):
            return None
        return FailsafePlan(
            after_seconds=max(1, round(order.failsafe_seconds)),
            image=order.failsafe_image or image,
            service_account=order.failsafe_service_account or failsafe.account_name(session),
            own=not order.failsafe_service_account,
            targets=tuple((workload.ref, workload.replicas) for workload in workloads),
        )

    def _maps(self, group: Sequence[Found]) -> list[PortMap]:
        """The maps for this group; one that names no Service is for the only one that was asked for."""
        names = {str(one.key) for one in group}
        found = []
        for one in self._order.maps:
            if not one.service and len(self._order.services) > 1:
                raise LocalizeError(
                    f"--map {one.local_port} does not say whose port it is, and several Services are exposed",
                    "write --map ns/svc=LOCAL:PORT",
                )
            matching = [key for key in self._order.services if one.service in ("", key.name, str(key))]
            if not matching:
                raise LocalizeError(f"--map names {one.service}, which is not exposed", "name a Service that is")
            found += [replace(one, service=str(key)) for key in matching if str(key) in names]
        return found

    def _must_listen(self, plans: Sequence[ExposurePlan]) -> None:
        for port in (port for plan in plans for port in plan.ports):
            if self._listens(port.host, port.local_port) is not False:
                continue
            key, number = port.services[0]
            if port.asked:
                raise LocalizeError(
                    f"nothing listens on {port.local}, where port {number} of {key} would lead", self._hint(port)
                )
            raise LocalizeError(
                f"nothing listens on {port.local}: {key} has the same pods, and its port {number} would lead there",
                f"expose {key} too and --map its port, or go on with --force (its clients are refused then)",
            )

    def _hint(self, port: CarriedPort) -> str:
        if port.host == "127.0.0.1" and self._listens("::1", port.local_port):
            return f"something listens on [::1]:{port.local_port}: --map [::1]:{port.local_port}"
        return "start it, name another port with --map, or go on with --force"


def exposed_already(
    key: ServiceKey, held: Sequence[Entry], now: datetime, advice: Callable[[Sequence[Entry]], str]
) -> LocalizeError:
    """The error that names who exposes a Service, or its workload, already.

    Args:
        held: the journals of their session.
    """
    others = f" (with {', '.join(held[0].services)})" if str(key) not in held[0].services else ""
    return LocalizeError(f"{key} is exposed already{others} by {journal.in_words(held[0], now)}", advice(held))


def journal_entries(plan: ExposurePlan, owner: journal.Owner, now: datetime) -> tuple[Entry, ...]:
    """The journals of a plan: one for each workload; with `--keep` one for each Service."""
    services = tuple(str(key) for key in plan.services)
    common: Mapping[str, Any] = {
        "owner": owner, "session": plan.session, "services": services, "since": now, "renewed": now
    }  # fmt: skip
    if plan.workloads:
        return tuple(
            Entry(workload=one.ref, uid=one.uid, replicas=one.replicas, **common) for one in plan.workloads
        )  # fmt: skip
    return tuple(
        Entry(workload=_as_workload(key), uid="", replicas=None, **common) for key in plan.services
    )  # fmt: skip


def in_words(plan: ExposurePlan) -> list[str]:
    """What would be made and changed, a line each."""
    names = [one.ref for one in plan.workloads] or [_as_workload(key) for key in plan.services]
    carried = ", ".join(f"{port.number} -> {port.local}" for port in plan.ports)
    lines = [
        *(f"create the journal, Lease {journal.lease_name(ref)}" for ref in names),
        f"create Secret {object_name(plan.session)} and an exposure pod with {plan.image} for port {carried}",
    ]
    if plan.failsafe is not None:
        whose = "its own ServiceAccount" if plan.failsafe.own else f"ServiceAccount {plan.failsafe.service_account}"
        lines.append(f"failsafe: with {whose}, scale up after {plan.failsafe.after_seconds} s without this machine")
    return [*lines, *(f"scale {one.ref} from {one.replicas} to 0, and back at the end" for one in plan.workloads)]


def _besides(asked: Sequence[Json], others: Sequence[Json]) -> list[Json]:
    """The others that were not asked for, each once."""
    known = {one["metadata"]["name"] for one in asked}
    found = {one["metadata"]["name"]: one for one in others}
    return [one for name, one in sorted(found.items()) if name not in known]


def _refuse_strangers(matched: Sequence[Json], wanted: Sequence[Json]) -> None:
    """The labels of several workloads together may match a Service that neither of them belongs to."""
    for stranger in _besides(wanted, matched):
        raise LocalizeError(
            f"the exposure pod would get the traffic of Service {stranger['metadata']['name']} too",
            "expose these Services one after the other, or with --keep",
        )


def _groups(found: Sequence[Found]) -> list[list[Found]]:
    """Services that share a workload go together: one exposure pod stands in for all of them."""
    groups: list[list[Found]] = []
    for one in found:
        refs = {workload.ref for workload in one.owners.workloads}
        touching = [
            group for group in groups if refs & {workload.ref for other in group for workload in other.owners.workloads}
        ]
        groups = [group for group in groups if group not in touching]
        groups.append([*(other for group in touching for other in group), one])
    return groups


def _workloads(group: Sequence[Found]) -> tuple[Workload, ...]:
    found = {workload.ref: workload for one in group for workload in one.owners.workloads}
    return tuple(found[ref] for ref in sorted(found))


def _as_workload(key: ServiceKey) -> WorkloadRef:
    """With `--keep` no workload is touched; the Service itself is what is held."""
    return WorkloadRef("v1", "Service", key.namespace, key.name)


def _as_template(group: Sequence[Found]) -> Json:
    """What stands in for a pod template where there is no workload: a pod, or what the Service selects."""
    pod = next((pod for one in group for pod in one.pods), None)
    if pod is not None:
        return {"metadata": {"labels": pod["metadata"].get("labels") or {}}, "spec": pod["spec"]}
    return {"metadata": {"labels": group[0].service["spec"]["selector"]}, "spec": {"containers": []}}


def _session(pod: Json) -> str:
    """The session that an exposure pod belongs to; empty for any other pod."""
    return str((pod["metadata"].get("labels") or {}).get(SESSION_LABEL) or "")


def _counts(pod: Json) -> bool:
    """Whether a pod is there to stay: it neither terminates nor has ended."""
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and not pod["metadata"].get("deletionTimestamp")


def _first_ordinal(workload: Workload) -> int:
    return int((workload.object["spec"].get("ordinals") or {}).get("start") or 0)


def _near(key: ServiceKey, services: Sequence[Json]) -> str:
    from difflib import get_close_matches

    names = [one["metadata"]["name"] for one in services]
    near = get_close_matches(key.name, names, 1)
    return f"did you mean {near[0]}?" if near else f"`kubectl get services -n {key.namespace}` lists those that exist"
