"""Services and EndpointSlices as our dataclasses, from the JSON that the API server sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_localize.model import Endpoint, EndpointSlice, Service, ServiceKey, ServicePort

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


def service(item: Mapping[str, Any]) -> Service:
    """A Service of `v1` (https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/)."""
    meta, spec = item["metadata"], item.get("spec") or {}
    ports = tuple(
        ServicePort(
            name=port.get("name") or "",
            port=port["port"],
            target_port=port.get("targetPort") or port["port"],
            protocol=port.get("protocol") or "TCP",
        )
        for port in spec.get("ports") or ()
    )
    return Service(
        key=ServiceKey(meta["namespace"], meta["name"]),
        type=spec.get("type") or "ClusterIP",
        headless=spec.get("clusterIP") == "None",
        has_selector=bool(spec.get("selector")),
        ports=ports,
        external_name=spec.get("externalName") or "",
        labels=tuple(sorted((meta.get("labels") or {}).items())),
    )


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is Ready and not terminating."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def endpoint_slice(item: Mapping[str, Any]) -> EndpointSlice | None:
    """An EndpointSlice of `discovery.k8s.io/v1`, None if it belongs to no Service.

    An endpoint whose `ready` is absent counts as Ready, as the API says; one that terminates is not.
    """
    meta = item["metadata"]
    owner = (meta.get("labels") or {}).get(SERVICE_NAME_LABEL)
    if not owner:
        return None
    endpoints, unready, others, pods = [], [], 0, 0
    for entry in item.get("endpoints") or ():
        target = entry.get("targetRef") or {}
        if target.get("kind") != "Pod" or not target.get("name"):
            others += 1
            continue
        pods += 1
        if (entry.get("conditions") or {}).get("ready") is False:
            unready.append(target["name"])
            continue
        address = next(iter(entry.get("addresses") or ()), "")
        endpoints.append(Endpoint(target["name"], 0, address, entry.get("hostname") or ""))
    return EndpointSlice(
        name=meta["name"],
        service=ServiceKey(meta["namespace"], owner),
        ports=tuple(
            (port.get("name") or "", port.get("port"))
            for port in item.get("ports") or ()
            if (port.get("protocol") or "TCP") == "TCP"
        ),
        endpoints=tuple(endpoints),
        others=others,
        pods=pods,
        unready=tuple(unready),
    )
