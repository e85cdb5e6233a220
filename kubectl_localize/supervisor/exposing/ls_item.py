"""What `ls` shows of an exposure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.ls_document import ExposureItem, ExposurePort, WorkloadItem, rfc3339
from kubectl_localize.model import ServiceKey, Status
from kubectl_localize.supervisor.exposing.local import LocalPort


def item(
    plan: ExposurePlan,
    key: ServiceKey,
    local: Mapping[int, LocalPort],
    *,
    context: str,
    status: Status,
    reason: str,
    pod: str,
    since: datetime,
) -> ExposureItem:
    """The item of the `ls` document for one of the Services that were asked for.

    Args:
        local: our listeners by the number of the pod's port.
        pod: the exposure pod's name; empty if there is none yet.
    """
    return ExposureItem(
        context=context,
        namespace=key.namespace,
        name=key.name,
        status=status,
        reason=reason,
        pod=pod,
        ports=tuple(
            ExposurePort(number, port.number, port.local, local[port.number].traffic.open)
            for port in plan.ports
            for service, number in port.services
            if service == key
        ),
        workloads=tuple(
            WorkloadItem(workload.ref.kind, workload.ref.name, workload.replicas) for workload in plan.workloads
        ),
        since=rfc3339(since),
    )
