"""What `ls` shows of an exposure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.model import ServiceKey, Status
from kubectl_localize.supervisor.exposing.local import LocalPort
from kubectl_localize.supervisor.forwarding.forward import rfc3339


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
) -> dict[str, Any]:
    """The item of the `ls` document (cli.md) for one of the Services that were asked for.

    Args:
        local: our listeners by the number of the pod's port.
        pod: the exposure pod's name; empty where there is none yet.
    """
    ports = [
        {
            "port": number,
            "targetPort": port.number,
            "local": port.local,
            "connections": local[port.number].traffic.open,
        }
        for port in plan.ports
        for service, number in port.services
        if service == key
    ]
    return {
        "kind": "Exposure",
        "context": context,
        "namespace": key.namespace,
        "name": key.name,
        "status": status,
        "reason": reason,
        "pod": pod,
        "ports": ports,
        "workloads": [{"kind": one.ref.kind, "name": one.ref.name, "replicas": one.replicas} for one in plan.workloads],
        "since": rfc3339(since),
    }
