"""Services and EndpointSlices as our dataclasses, from the JSON that the API server sends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kubectl_localize.model import Endpoint, EndpointSlice, Service, ServiceKey, ServicePort

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
DEFAULT_AFFINITY_SECONDS = 10_800  # the API server fills it in; only handmade objects lack it
# A DNS subdomain name: all that an API server lets a Service, a pod or a namespace be called (other kinds may be more).
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


def is_name(name: object) -> bool:
    """Whether a Service, a pod or a namespace may be called this; nothing else is to get into a command or a file."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def listed_service(item: Mapping[str, Any]) -> Service | None:
    """A Service as `service` reads it; None if it has a name, a port or a word that no API server allows."""
    meta, spec = item["metadata"], item.get("spec") or {}
    allowed = is_name(meta["name"]) and is_name(meta["namespace"])
    allowed = allowed and _are_words(spec.get("type"), spec.get("externalName"))
    return service(item) if allowed and all(map(_is_service_port, spec.get("ports") or ())) else None


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
        affinity_seconds=_affinity_seconds(spec),
    )


def _is_port(number: object) -> bool:
    return type(number) is int and 0 < number < 65536


def _is_service_port(entry: Mapping[str, Any]) -> bool:
    target = entry.get("targetPort")
    allowed = _is_port(entry["port"]) and (target == 0 or target is None or isinstance(target, str) or _is_port(target))
    return allowed and _are_words(entry.get("name"), entry.get("protocol"), target if isinstance(target, str) else "")


def _are_words(*texts: object) -> bool:
    """Whether these are short texts without anything that a terminal may take for more."""
    return all(
        not text or (isinstance(text, str) and text.isascii() and text.isprintable() and len(text) < 254)
        for text in texts
    )


def _affinity_seconds(spec: Mapping[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(client.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is Ready and not terminating."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def endpoint_slice(item: Mapping[str, Any]) -> EndpointSlice | None:
    """An EndpointSlice of `discovery.k8s.io/v1`, None if it belongs to no Service that an API server allows.

    An endpoint whose `ready` is absent counts as Ready, as the API says; one that terminates is not, but may still
    serve.
    """
    meta = item["metadata"]
    owner = (meta.get("labels") or {}).get(SERVICE_NAME_LABEL)
    if owner is None or not (is_name(owner) and is_name(meta["namespace"])):
        return None
    endpoints, unready, terminating, others, pods = [], [], [], 0, 0
    for entry in item.get("endpoints") or ():
        target = entry.get("targetRef") or {}
        if target.get("kind") != "Pod" or not is_name(target.get("name")):
            others += 1
            continue
        pods += 1
        conditions = entry.get("conditions") or {}
        address = next(iter(entry.get("addresses") or ()), "")
        endpoint = Endpoint(target["name"], 0, address, entry.get("hostname") or "")
        if conditions.get("ready") is not False:
            endpoints.append(endpoint)
            continue
        unready.append(target["name"])
        if conditions.get("serving") and conditions.get("terminating"):
            terminating.append(replace(endpoint, terminating=True))
    return EndpointSlice(
        name=meta["name"],
        service=ServiceKey(meta["namespace"], owner),
        ports=tuple(
            (port.get("name") or "", port.get("port"))
            for port in item.get("ports") or ()
            if (port.get("protocol") or "TCP") == "TCP"
            and _are_words(port.get("name"))
            and (port.get("port") is None or _is_port(port["port"]))
        ),
        endpoints=tuple(endpoints),
        others=others,
        pods=pods,
        unready=tuple(unready),
        terminating=tuple(terminating),
    )
