"""Decides what one exposure will be, from what the checks know of its Services and workloads; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kubectl_localize.cluster.exposing import failsafe, journal, ports, selectors
from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.labels import joined, matching, pod_labels, selected_keys
from kubectl_localize.cluster.exposing.pod import DEFAULT_IMAGE
from kubectl_localize.cluster.exposing.pod_templates import as_template
from kubectl_localize.cluster.exposing.values import (
    ExposurePlan,
    FailsafePlan,
    SwitchedService,
    Workload,
    WorkloadRef,
    object_name,
)
from kubectl_localize.cluster.exposing.workloads import Owners, owned
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import PortMap, ServiceKey
from kubectl_localize.protocol import ExposeRequest

OUR_PREFIX = "kubectl-localize/"

Json = dict[str, Any]


@dataclass(frozen=True)
class RequestedService:
    """One Service that was asked for, and what is behind it.

    Args:
        pods: what it selects, but for exposure pods and those that end.
        sessions: of the exposure pods that it has already.
        replaced_pods: all pods of the workloads that are scaled down, also those that it does not select.
        pull_secrets: names, of the pods and their ServiceAccounts.
    """

    key: ServiceKey
    service: Json
    pods: tuple[Json, ...]
    owners: Owners
    sessions: frozenset[str]
    replaced_pods: tuple[Json, ...] = ()
    pull_secrets: tuple[str, ...] = ()


def groups(all_requested: Sequence[RequestedService]) -> list[list[RequestedService]]:
    """Services that share a workload or a pod go together: one exposure pod stands in for all of them."""
    together: list[list[RequestedService]] = []
    for requested in all_requested:
        touching = [
            group for group in together if any(not _behind(requested).isdisjoint(_behind(other)) for other in group)
        ]
        together = [group for group in together if group not in touching]
        together.append([*(other for group in touching for other in group), requested])
    return together


def _behind(requested: RequestedService) -> set[object]:
    """What a Service leads to: workloads, as far as they are known, and pods."""
    return {
        *(workload.ref for workload in requested.owners.workloads),
        *(pod["metadata"]["name"] for pod in requested.pods),
    }


def plan(
    request: ExposeRequest,
    group: Sequence[RequestedService],
    services: Sequence[Json],
    *,
    session: str,
    own_failsafe: bool,
) -> tuple[ExposurePlan, Sequence[str]]:
    """Decide what one exposure pod stands in for. Returns the plan, and a sentence for each port that it cannot carry.

    Args:
        group: Services that share workloads, as `groups` has them.
        services: all of the namespace.
        session: the exposure's name for itself.
        own_failsafe: whether the failsafe may have a ServiceAccount of our own.

    Raises:
        LocalizeError: a map does not fit, or another Service would get the pod's traffic.
    """
    workloads = () if request.keep or request.share else _workloads(group)
    templates = [workload.template for workload in _workloads(group)] or [_as_template(group)]
    asked = [requested.service for requested in group]
    replaced_pods = _by_worth(group, workloads)
    labels, others = _labels(request, group, services, templates, replaced_pods, session)
    carried, not_carried = ports.carried(asked, others, dict(templates[0]), _maps(request, group))
    stateful_set = next((workload for workload in workloads if workload.ref.kind == "StatefulSet"), None)
    image = request.image or DEFAULT_IMAGE
    sshd_port, heartbeat_port = ports.own_ports([port.number for port in carried])
    made = ExposurePlan(
        namespace=group[0].key.namespace,
        services=tuple(requested.key for requested in group),
        workloads=workloads,
        replaced=templates[0],
        labels=tuple(sorted(labels.items())),
        ports=carried,
        sshd_port=sshd_port,
        heartbeat_port=heartbeat_port,
        image=image,
        session=session,
        image_pull_secrets=_pull_secrets(request, group, templates),
        hostname=_stands_in_for(stateful_set, group) if stateful_set else "",
        subdomain=str(stateful_set.object["spec"].get("serviceName") or "") if stateful_set else "",
        failsafe=_failsafe(request, workloads, session, image, own=own_failsafe),
        switched=tuple(_switched(requested) for requested in group) if request.keep else (),
        selected_keys=selected_keys(services),
        found_by=tuple(item["metadata"]["name"] for item in (*asked, *others)),
        replaced_pods=tuple(pod["metadata"]["name"] for pod in replaced_pods),
        kept_pods=_kept_pods(group) if workloads else (),
        example_spec=next((pod["spec"] for requested in group for pod in requested.pods), {}),
        options=request.pod,
    )
    return made, not_carried


def _labels(
    request: ExposeRequest,
    group: Sequence[RequestedService],
    services: Sequence[Json],
    templates: Sequence[Mapping[str, Any]],
    replaced_pods: Sequence[Json],
    session: str,
) -> tuple[dict[str, str], list[Json]]:
    """The labels by which Services find the exposure pod, and the Services besides those asked for that do so."""
    asked = [requested.service for requested in group]
    for key, _ in request.pod.labels:
        if key in selected_keys(services) or key.startswith(OUR_PREFIX):
            raise LocalizeError(
                f"--labels {key}=… could change which Services find the exposure pod: they select pods by this label",
                "name labels only that a policy asks for; the pod has the workload's own ones already",
            )
    if request.keep:  # only the Services that were asked for lose their endpoints, and find the pod by its mark
        switched = (selectors.switched(_selector(service), session) for service in asked)
        return {key: value for selector in switched for key, value in selector.items()}, []
    if request.share:  # no Service loses its endpoints, so the pod only joins those that cannot be avoided
        labels = pod_labels([{"metadata": {}}], asked)
        return labels, _besides(asked, matching(services, labels))
    labels = pod_labels([dict(template) for template in templates], asked)
    labels, others = joined(labels, [*replaced_pods, *map(dict, templates)], _besides(asked, services))
    _refuse_strangers(matching(services, labels), [*asked, *others])
    return labels, others


def _pull_secrets(
    request: ExposeRequest, group: Sequence[RequestedService], templates: Sequence[Mapping[str, Any]]
) -> tuple[str, ...]:
    """The pull secrets of the templates, of the pods and their ServiceAccounts, and the one that was asked for."""
    of_templates = [
        reference["name"] for template in templates for reference in (template["spec"].get("imagePullSecrets") or ())
    ]
    of_pods = [name for requested in group for name in requested.pull_secrets]
    return tuple(dict.fromkeys(filter(None, [*of_templates, *of_pods, request.image_pull_secret])))


def _failsafe(
    request: ExposeRequest, workloads: Sequence[Workload], session: str, image: str, *, own: bool
) -> FailsafePlan | None:
    if request.share or not request.failsafe_seconds or not (own or request.failsafe_service_account):
        return None
    return FailsafePlan(
        after_seconds=max(1, round(request.failsafe_seconds)),
        image=request.failsafe_image or image,
        service_account=request.failsafe_service_account or failsafe.account_name(session),
        own=not request.failsafe_service_account,
        targets=tuple((workload.ref, workload.replicas) for workload in workloads),
    )


def _maps(request: ExposeRequest, group: Sequence[RequestedService]) -> list[PortMap]:
    """The maps for this group; one that names no Service is for the only one that was asked for."""
    names = {str(requested.key) for requested in group}
    maps = []
    for port_map in request.maps:
        if not port_map.service and len(request.services) > 1:
            raise LocalizeError(
                f"--map {port_map.local_port} does not say whose port it is, and several Services are exposed",
                "write --map ns/svc=LOCAL:PORT",
            )
        meant = [key for key in request.services if port_map.service in ("", key.name, str(key))]
        if not meant:
            raise LocalizeError(f"--map names {port_map.service}, which is not exposed", "name a Service that is")
        maps += [replace(port_map, service=str(key)) for key in meant if str(key) in names]
    return maps


def journal_entries(plan: ExposurePlan, owner: journal.Owner, now: datetime) -> tuple[Entry, ...]:
    """The journals of a plan: one for each workload; with `--keep` one for each Service."""
    services = tuple(str(key) for key in plan.services)
    common: Mapping[str, Any] = {
        "owner": owner, "session": plan.session, "services": services, "since": now, "renewed": now
    }  # fmt: skip
    if plan.workloads:
        return tuple(
            Entry(workload=workload.ref, uid=workload.uid, replicas=workload.replicas, **common)
            for workload in plan.workloads
        )
    if plan.switched:
        return tuple(
            Entry(workload=service.ref, uid=service.uid, replicas=None, selector=service.selector, **common)
            for service in plan.switched
        )
    return tuple(
        Entry(workload=as_workload(key), uid="", replicas=None, **common) for key in plan.services
    )  # fmt: skip


def describe(plan: ExposurePlan) -> list[str]:
    """What would be made and changed, a line each."""
    names = [workload.ref for workload in plan.workloads] or [as_workload(key) for key in plan.services]
    carried = ", ".join(f"{port.number} -> {port.local}" for port in plan.ports)
    lines = [
        *(f"create the journal, Lease {journal.lease_name(ref)}" for ref in names),
        f"create Secret {object_name(plan.session)} and an exposure pod with {_image(plan)} for port {carried}",
    ]
    if plan.failsafe is not None:
        whose = "its own ServiceAccount" if plan.failsafe.own else f"ServiceAccount {plan.failsafe.service_account}"
        after = _duration(plan.failsafe.after_seconds)
        back = "switch back" if plan.switched else "scale up"
        lines.append(f"failsafe: with {whose}, {back} after {after} without this machine")
    return [
        *lines,
        *(f"scale {workload.ref} from {workload.replicas} to 0, and back at the end" for workload in plan.workloads),
        *(
            f"switch {service.ref} from {selectors.words(dict(service.selector))} to the exposure pod, and back at the"
            " end"
            for service in plan.switched
        ),
    ]


def _image(plan: ExposurePlan) -> str:
    """Its name; if it is the default one, also whose it is and how to bring another."""
    return f"{plan.image} (a public image; --image names another)" if plan.image == DEFAULT_IMAGE else plan.image


def _duration(seconds: int) -> str:
    """As people write it in `--failsafe`: `10m`, `90s`."""
    return f"{seconds // 60}m" if seconds and seconds % 60 == 0 else f"{seconds}s"


def _besides(asked: Sequence[Json], others: Sequence[Json]) -> list[Json]:
    """These Services without those that were asked for, each once."""
    known = {service["metadata"]["name"] for service in asked}
    by_name = {service["metadata"]["name"]: service for service in others}
    return [service for name, service in sorted(by_name.items()) if name not in known]


def _refuse_strangers(matched: Sequence[Json], wanted: Sequence[Json]) -> None:
    """The labels of several workloads together may match a Service that neither of them belongs to."""
    for stranger in _besides(wanted, matched):
        raise LocalizeError(
            f"the exposure pod would get the traffic of Service {stranger['metadata']['name']} too",
            "expose these Services one after the other, or with --keep",
        )


def _workloads(group: Sequence[RequestedService]) -> tuple[Workload, ...]:
    workloads = {workload.ref: workload for requested in group for workload in requested.owners.workloads}
    return tuple(workloads[ref] for ref in sorted(workloads))


def as_workload(key: ServiceKey) -> WorkloadRef:
    """The Service as a workload reference, for the journal of an exposure with `--keep`, which scales no workload."""
    return WorkloadRef("v1", "Service", key.namespace, key.name)


def _switched(requested: RequestedService) -> SwitchedService:
    meta, selector = requested.service["metadata"], _selector(requested.service)
    return SwitchedService(
        as_workload(requested.key), meta["uid"], meta["resourceVersion"], tuple(sorted(selector.items()))
    )


def _selector(service: Json) -> dict[str, str]:
    return dict(service["spec"]["selector"])


def _as_template(group: Sequence[RequestedService]) -> Json:
    """Make up for a pod template if there is no workload: from a pod, or from what the Service selects."""
    return as_template([pod for requested in group for pod in requested.pods], _selector(group[0].service))


def _by_worth(group: Sequence[RequestedService], workloads: Sequence[Workload]) -> list[Json]:
    """All pods that are scaled down, those first that were asked for, by their ordinal or name."""
    if not workloads:
        return []
    asked = {pod["metadata"]["name"] for requested in group for pod in requested.pods}
    pods = {pod["metadata"]["name"]: pod for requested in group for pod in requested.replaced_pods}
    return [pods[name] for name in sorted(pods, key=lambda name: (name not in asked, _ordinal(name), name))]


def _kept_pods(group: Sequence[RequestedService]) -> tuple[str, ...]:
    """The pods of these Services that nobody can scale down, such as a Job's."""
    replaced = {pod["metadata"]["name"] for requested in group for pod in requested.replaced_pods}
    pods = {pod["metadata"]["name"] for requested in group for pod in requested.pods}
    return tuple(sorted(pods - replaced))


def _stands_in_for(stateful_set: Workload, group: Sequence[RequestedService]) -> str:
    """The StatefulSet's pod whose name the exposure pod has: the first of those that the Services select."""
    own = [pod for requested in group for pod in requested.pods if owned(stateful_set, pod)]
    names = sorted((pod["metadata"]["name"] for pod in own), key=_ordinal)
    start = int((stateful_set.object["spec"].get("ordinals") or {}).get("start") or 0)
    return names[0] if names else f"{stateful_set.ref.name}-{start}"


def _ordinal(name: str) -> int:
    """A StatefulSet's pod's number; 0 for a pod whose name has none."""
    digits = name.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
