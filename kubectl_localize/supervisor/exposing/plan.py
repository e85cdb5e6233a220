"""From what the checks have found to what one exposure will be; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kubectl_localize.cluster.exposing import failsafe, journal, ports
from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.pod import DEFAULT_IMAGE
from kubectl_localize.cluster.exposing.values import ExposurePlan, FailsafePlan, Workload, WorkloadRef, object_name
from kubectl_localize.cluster.exposing.workloads import Owners
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import PortMap, ServiceKey
from kubectl_localize.protocol import ExposeRequest

Json = dict[str, Any]


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


def groups(found: Sequence[Found]) -> list[list[Found]]:
    """Services that share a workload go together: one exposure pod stands in for all of them."""
    together: list[list[Found]] = []
    for one in found:
        refs = {workload.ref for workload in one.owners.workloads}
        touching = [
            group
            for group in together
            if refs & {workload.ref for other in group for workload in other.owners.workloads}
        ]
        together = [group for group in together if group not in touching]
        together.append([*(other for group in touching for other in group), one])
    return together


def plan(
    order: ExposeRequest, group: Sequence[Found], services: Sequence[Json], *, session: str, own_failsafe: bool
) -> tuple[ExposurePlan, Sequence[str]]:
    """What one exposure pod stands in for, and the ports that it cannot carry, in words.

    Args:
        group: Services that share workloads, as `groups` has them.
        services: all of the namespace.
        session: the exposure's name for itself.
        own_failsafe: whether the failsafe may have a ServiceAccount of our own.

    Raises: LocalizeError where the order does not fit, or another Service would get the pod's traffic.
    """
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
    carried, not_carried = ports.carried(asked, others, dict(templates[0]), _maps(order, group))
    standing_in = next((workload for workload in workloads if workload.ref.kind == "StatefulSet"), None)
    image = order.image or DEFAULT_IMAGE
    sshd_port, heartbeat_port = ports.own_ports([port.number for port in carried])
    pull_secrets = [one["name"] for template in templates for one in (template["spec"].get("imagePullSecrets") or ())]
    made = ExposurePlan(
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
        failsafe=_failsafe(order, workloads, session, image, own=own_failsafe),
        keep=order.keep,
    )
    return made, not_carried


def _failsafe(
    order: ExposeRequest, workloads: Sequence[Workload], session: str, image: str, *, own: bool
) -> FailsafePlan | None:
    if not workloads or not order.failsafe_seconds or not (own or order.failsafe_service_account):
        return None
    return FailsafePlan(
        after_seconds=max(1, round(order.failsafe_seconds)),
        image=order.failsafe_image or image,
        service_account=order.failsafe_service_account or failsafe.account_name(session),
        own=not order.failsafe_service_account,
        targets=tuple((workload.ref, workload.replicas) for workload in workloads),
    )


def _maps(order: ExposeRequest, group: Sequence[Found]) -> list[PortMap]:
    """The maps for this group; one that names no Service is for the only one that was asked for."""
    names = {str(one.key) for one in group}
    found = []
    for one in order.maps:
        if not one.service and len(order.services) > 1:
            raise LocalizeError(
                f"--map {one.local_port} does not say whose port it is, and several Services are exposed",
                "write --map ns/svc=LOCAL:PORT",
            )
        matching = [key for key in order.services if one.service in ("", key.name, str(key))]
        if not matching:
            raise LocalizeError(f"--map names {one.service}, which is not exposed", "name a Service that is")
        found += [replace(one, service=str(key)) for key in matching if str(key) in names]
    return found


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
        Entry(workload=as_workload(key), uid="", replicas=None, **common) for key in plan.services
    )  # fmt: skip


def describe(plan: ExposurePlan) -> list[str]:
    """What would be made and changed, a line each."""
    names = [one.ref for one in plan.workloads] or [as_workload(key) for key in plan.services]
    carried = ", ".join(f"{port.number} -> {port.local}" for port in plan.ports)
    lines = [
        *(f"create the journal, Lease {journal.lease_name(ref)}" for ref in names),
        f"create Secret {object_name(plan.session)} and an exposure pod with {plan.image} for port {carried}",
    ]
    if plan.failsafe is not None:
        whose = "its own ServiceAccount" if plan.failsafe.own else f"ServiceAccount {plan.failsafe.service_account}"
        after = _in_words(plan.failsafe.after_seconds)
        lines.append(f"failsafe: with {whose}, scale up after {after} without this machine")
    return [*lines, *(f"scale {one.ref} from {one.replicas} to 0, and back at the end" for one in plan.workloads)]


def _in_words(seconds: int) -> str:
    """As people write it in `--failsafe`: `10m`, `90s`."""
    return f"{seconds // 60}m" if seconds and seconds % 60 == 0 else f"{seconds}s"


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


def _workloads(group: Sequence[Found]) -> tuple[Workload, ...]:
    found = {workload.ref: workload for one in group for workload in one.owners.workloads}
    return tuple(found[ref] for ref in sorted(found))


def as_workload(key: ServiceKey) -> WorkloadRef:
    """With `--keep` no workload is touched; the Service itself is what is held."""
    return WorkloadRef("v1", "Service", key.namespace, key.name)


def _as_template(group: Sequence[Found]) -> Json:
    """What stands in for a pod template where there is no workload: a pod, or what the Service selects."""
    pod = next((pod for one in group for pod in one.pods), None)
    if pod is not None:
        return {"metadata": {"labels": pod["metadata"].get("labels") or {}}, "spec": pod["spec"]}
    return {"metadata": {"labels": group[0].service["spec"]["selector"]}, "spec": {"containers": []}}


def _first_ordinal(workload: Workload) -> int:
    return int((workload.object["spec"].get("ordinals") or {}).get("start") or 0)
