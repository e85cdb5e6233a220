"""Why a Service's traffic does not come to its exposure pod any more: what others have changed meanwhile; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubectl_localize.cluster import objects
from kubectl_localize.cluster.api import Json
from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.model import ServiceKey, ServicePort

NOTHING_COMES = "nothing comes here"


def drift(key: ServiceKey, ports: Sequence[CarriedPort], service: Json | None, pod: Json) -> str:
    """Say what keeps a Service from sending all of its traffic to the exposure pod.

    Args:
        key: the Service that is exposed.
        ports: what the exposure pod carries.
        service: what the Service is by now; None if it is gone.
        pod: the exposure pod, as it is by now.

    Returns:
        A sentence; empty if the Service selects the pod, and each of its exposed ports leads to where it led.
    """
    if service is None:
        return f"{NOTHING_COMES}: Service {key} is gone"
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return f"{NOTHING_COMES}: Service {key} is an ExternalName for {spec.get('externalName') or 'another'} now"
    selector: Mapping[str, str] = spec.get("selector") or {}
    if not selector:
        return f"{NOTHING_COMES}: Service {key} has no selector any more"
    labels = pod["metadata"].get("labels") or {}
    if missing := {name: value for name, value in selector.items() if labels.get(name) != value}:
        wanted = ",".join(f"{name}={value}" for name, value in sorted(missing.items()))
        return f"{NOTHING_COMES}: Service {key} selects {wanted}, which pod {pod['metadata']['name']} does not have"
    return _moved_port(key, ports, service)


def _moved_port(key: ServiceKey, ports: Sequence[CarriedPort], service: Json) -> str:
    """Say which port of a Service, exposed or new, does not lead to a port that is carried."""
    now = {port.port: port for port in objects.service(service).ports if port.protocol == "TCP"}
    for carried in ports:
        for number in (number for known, number in carried.services if known == key):
            if number not in now:
                return f"{NOTHING_COMES} by port {number}: Service {key} does not have it any more"
            if not _leads_to(now[number], carried):
                return f"{NOTHING_COMES} by port {number}: Service {key} sends it to port {now[number].target_port} now"
    for number, port in now.items():
        if not any(_leads_to(port, carried) for carried in ports):
            return f"{NOTHING_COMES} by port {number}: Service {key} got it after it was exposed; expose it again"
    return ""


def _leads_to(port: ServicePort, carried: CarriedPort) -> bool:
    """Whether a Service's port means this port of the pod, by its number or one of its names."""
    return port.target_port == carried.number or port.target_port in carried.names
