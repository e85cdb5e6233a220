"""Services of type ExternalName: which Service of this cluster one leads to, and what runs for it then; pure functions.

In the cluster such a Service is a CNAME record. If it names another Service, clients get that one's address and ports;
its own ports are ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from kubectl_localize.model import Service, ServiceKey
from kubectl_localize.supervisor.forwarding.spec import Binding, ForwardSpec, PortSpec


@dataclass(frozen=True)
class Destination:
    """Where an ExternalName leads.

    Args:
        chain: every Service on the way, whether it exists or not; a change of any may lead elsewhere.
        service: the one at the end; None if there is none to forward.
        pod: the pod's name below the Service's, if a single pod is named; else empty.
        reason: why there is none.
        missing: the Service that is not there, or not followed; None if that is not why.
    """

    chain: tuple[ServiceKey, ...]
    service: Service | None = None
    pod: str = ""
    reason: str = ""
    missing: ServiceKey | None = None


def named_service(external_name: str, cluster_domain: str) -> tuple[ServiceKey, str] | None:
    """The Service in a name such as `web.shop.svc.cluster.local`, and the pod's name in `db-0.db.shop.svc.…`.

    Only the full name counts: the cluster's DNS looks a shorter one up outside.
    """
    name = external_name.lower().removesuffix(".")
    labels = name.removesuffix(f".svc.{cluster_domain.lower()}").split(".")
    if not name.endswith(f".svc.{cluster_domain.lower()}") or len(labels) not in (2, 3) or not all(labels):
        return None
    *pod, service, namespace = labels
    return ServiceKey(namespace, service), "".join(pod)


def destination(service: Service, lookup: Callable[[ServiceKey], Service | None], cluster_domain: str) -> Destination:
    """Follow a Service of type ExternalName to its end, over others of its kind.

    Args:
        lookup: a Service by its key, None if there is none.
    """
    chain = [service.key]
    while True:
        named = named_service(service.external_name, cluster_domain)
        if named is None:
            return Destination(
                tuple(chain), reason=f"ExternalName leads to {service.external_name}, outside the cluster"
            )
        key, pod = named
        if key in chain:
            way = " -> ".join(str(step) for step in (*chain, key))
            return Destination(tuple(chain), reason=f"ExternalName leads in a circle: {way}")
        chain.append(key)
        target = lookup(key)
        if target is None:
            reason = f"ExternalName leads to {key}, which is not there or not followed (-n {key.namespace})"
            return Destination(tuple(chain), reason=reason, missing=key)
        if target.type != "ExternalName":
            return Destination(tuple(chain), target, pod)
        service = target


def dead_end(service: Service, reason: str) -> ForwardSpec:
    """The spec of a Service of type ExternalName that cannot be forwarded."""
    return ForwardSpec(service, tuple(PortSpec(port) for port in service.ports), skipped=reason)


def alias_spec(service: Service, target: ForwardSpec, pod: str) -> ForwardSpec:
    """What shall run for a Service of type ExternalName: the same as for its target, at an address of its own.

    Args:
        target: what would run for the Service at the end of the chain.
        pod: the pod's name below that Service's; empty for the Service itself.
    """
    way = f"ExternalName leads to {f'{pod} of ' if pod else ''}{target.key}"
    bindings = {Binding("", place.number): pods for place, pods in target.bindings.items() if place.pod == pod}
    skipped = target.skipped or ("" if bindings or not pod else "there is no such Ready pod")
    if skipped:
        return dead_end(service, f"{way}: {skipped}")
    numbers = {binding.number for binding in bindings}
    ports = tuple(
        replace(port, numbers=tuple(number for number in port.numbers if number in numbers)) for port in target.ports
    )
    return ForwardSpec(
        service,
        ports,
        bindings=bindings,
        endpoints=tuple(sorted({endpoint for pods in bindings.values() for endpoint in pods})),
        note=way,
        pods_namespace=target.namespace,
        affinity_seconds=target.affinity_seconds,
    )
