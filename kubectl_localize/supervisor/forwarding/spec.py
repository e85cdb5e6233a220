"""The spec of a forward: what shall run for a Service; a pure function of the Service and its EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kubectl_localize.model import Endpoint, EndpointSlice, Options, Service, ServiceKey, ServicePort

PODS_WITH_NAMES_AT_MOST = 64


@dataclass(frozen=True, order=True)
class Binding:
    """Where to listen: the owner of an address (the Service, or one pod of it) and a port number.

    `pod` is empty for the Service's own address, else the pod's label below the Service's name.
    """

    pod: str
    number: int


@dataclass(frozen=True)
class PortSpec:
    """One port of a Service: the bindings that serve it, or why there are none."""

    port: ServicePort
    numbers: tuple[int, ...] = ()
    skipped: str = ""


@dataclass(frozen=True)
class NamedPod:
    """A Ready pod with an address and names of its own; `label` is its name below the Service's."""

    label: str
    pod: str


@dataclass(frozen=True)
class Terms:
    """How the connections to a Service are treated.

    Args:
        everybody: serve every user of this machine.
        wait_timeout_seconds: how long a connection waits for a Ready pod.
    """

    everybody: bool = False
    wait_timeout_seconds: float = Options().wait_timeout_seconds


@dataclass(frozen=True)
class ForwardSpec:
    """What shall run for one Service.

    `skipped` says why nothing can run, `note` what was left out or where an ExternalName leads, `terms` how its
    connections are treated. The pods are in `pods_namespace`; empty means the Service's own. A client keeps its pod
    for `affinity_seconds`; 0 means that it does not.
    """

    service: Service
    ports: tuple[PortSpec, ...]
    pods: tuple[NamedPod, ...] = ()
    bindings: dict[Binding, tuple[Endpoint, ...]] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
    skipped: str = ""
    note: str = ""
    terms: Terms = Terms()
    pods_namespace: str = ""
    affinity_seconds: int = 0

    @property
    def key(self) -> ServiceKey:
        """Namespace and name of the Service."""
        return self.service.key

    @property
    def namespace(self) -> str:
        """The namespace of the pods."""
        return self.pods_namespace or self.service.key.namespace


def forward_spec(service: Service, slices: Sequence[EndpointSlice]) -> ForwardSpec:
    """What shall run for a Service, given all EndpointSlices that belong to it."""
    ports = tuple(PortSpec(port, skipped=_port_skipped(port)) for port in service.ports)
    skipped = _skipped(service, slices, ports)
    if skipped:
        return ForwardSpec(service, ports, skipped=skipped)
    # Names of a headless Service come from DNS, which only knows Ready pods; all else is as kube-proxy has it.
    by_port = {
        port.port: endpoints_of(port.port, slices, and_terminating=not service.headless)
        for port in ports
        if not port.skipped
    }
    all_endpoints = tuple(sorted({endpoint for endpoints in by_port.values() for endpoint in endpoints}))
    pods, note = _pods(service, all_endpoints)
    bindings: dict[Binding, tuple[Endpoint, ...]] = {}
    port_specs = []
    for port in ports:
        if port.skipped:
            port_specs.append(port)
            continue
        endpoints = by_port[port.port]
        numbers = _numbers(service, port.port, endpoints)
        port_specs.append(PortSpec(port.port, numbers))
        for number in numbers:
            behind = tuple(endpoint for endpoint in endpoints if not service.headless or endpoint.port == number)
            binding = Binding("", number)
            bindings[binding] = _merge(bindings.get(binding, ()), behind)
        for pod in pods:
            for endpoint in endpoints:
                if endpoint.pod == pod.pod:
                    binding = Binding(pod.label, endpoint.port)
                    bindings[binding] = _merge(bindings.get(binding, ()), (endpoint,))
    affinity = 0 if service.headless else service.affinity_seconds
    return ForwardSpec(service, tuple(port_specs), pods, bindings, all_endpoints, note=note, affinity_seconds=affinity)


def portless_spec(
    service: Service, slices: Sequence[EndpointSlice], declared: Mapping[str, Sequence[tuple[str, int]]]
) -> ForwardSpec:
    """What shall run for a headless Service without ports: DNS names its pods, and any of their ports may be meant.

    Args:
        declared: for each pod, as far as they are known yet, names and numbers of its containers' TCP ports.
    """
    if skipped := _unreachable(service, slices):
        return ForwardSpec(service, (), skipped=skipped)
    ready = {endpoint.pod: endpoint for endpoint_slice in slices for endpoint in endpoint_slice.endpoints}
    endpoints = tuple(
        sorted(
            replace(endpoint, port=number)
            for endpoint in ready.values()
            for number in {number for _, number in declared.get(endpoint.pod, ())}
        )
    )
    if ready and declared.keys() >= ready.keys() and not endpoints:
        return ForwardSpec(service, (), skipped="it has no ports, and no container port of its pods is known")
    names = {number: name for pod in sorted(ready) for name, number in declared.get(pod, ())}
    ports = tuple(PortSpec(ServicePort(names[number], number, number), (number,)) for number in sorted(names))
    pods, note = _pods(service, endpoints)
    labels = {pod.pod: pod.label for pod in pods}
    bindings: dict[Binding, tuple[Endpoint, ...]] = {}
    for endpoint in endpoints:
        for label in {"", labels.get(endpoint.pod, "")}:
            binding = Binding(label, endpoint.port)
            bindings[binding] = _merge(bindings.get(binding, ()), (endpoint,))
    return ForwardSpec(service, ports, pods, bindings, endpoints, note=note)


def difference(before: ForwardSpec | None, after: ForwardSpec) -> str:
    """Say what has changed for users of the Service: `pod a is gone, now b`; empty if nothing that matters to them.

    Args:
        before: what ran until now; None for a new Service.
    """
    if after.skipped:
        return ""
    if before is None:
        return "a new Service"
    old = {endpoint.pod for endpoint in before.endpoints}
    new = {endpoint.pod for endpoint in after.endpoints}
    gone = sorted(old - new)
    if before.service.ports != after.service.ports:
        return "its ports have changed"
    if gone and new:
        return f"{_pods_are(gone)} gone, now {', '.join(sorted(new))}"
    if gone:
        return f"{_pods_are(gone)} gone, no Ready pod"
    return f"{_pods_are(sorted(new))} Ready" if new and not old else ""


def _pods_are(pods: Sequence[str]) -> str:
    """`pod a is`, `pods a, b are`."""
    return f"pods {', '.join(pods)} are" if len(pods) > 1 else f"pod {pods[0]} is"


def endpoints_of(
    port: ServicePort, slices: Sequence[EndpointSlice], *, and_terminating: bool = True
) -> tuple[Endpoint, ...]:
    """The Ready pods behind one port of a Service, each with the number that this very pod listens on.

    A pod counts once, though it may stand in several slices (IPv4 and IPv6, or while it moves between slices).

    Args:
        and_terminating: if no Ready pod is left, take those that are on their way out and still serve, as kube-proxy.
    """
    ready = _listed(port, ((endpoint_slice, endpoint_slice.endpoints) for endpoint_slice in slices))
    if ready or not and_terminating:
        return ready
    return _listed(port, ((endpoint_slice, endpoint_slice.terminating) for endpoint_slice in slices))


def _listed(port: ServicePort, listed: Iterable[tuple[EndpointSlice, Sequence[Endpoint]]]) -> tuple[Endpoint, ...]:
    """Those of some endpoints of slices that have the port."""
    endpoints: dict[tuple[str, int], Endpoint] = {}
    for endpoint_slice, candidates in listed:
        for name, number in endpoint_slice.ports:
            if name != port.name:
                continue
            resolved = number if number is not None else port.target_port
            if not isinstance(resolved, int):
                continue
            for endpoint in candidates:
                known = endpoints.get((endpoint.pod, resolved))
                if known is None or endpoint.address < known.address:
                    endpoints[endpoint.pod, resolved] = Endpoint(
                        endpoint.pod, resolved, endpoint.address, endpoint.hostname, endpoint.terminating
                    )
    return tuple(sorted(endpoints.values()))


def _merge(first: tuple[Endpoint, ...], second: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    return tuple(sorted({*first, *second}))


def _numbers(service: Service, port: ServicePort, endpoints: Sequence[Endpoint]) -> tuple[int, ...]:
    if not service.headless:
        return (port.port,)
    if endpoints:
        return tuple(sorted({endpoint.port for endpoint in endpoints}))
    return (port.target_port,) if isinstance(port.target_port, int) else ()


def _pods(service: Service, endpoints: Sequence[Endpoint]) -> tuple[tuple[NamedPod, ...], str]:
    """Pods get names as the cluster's DNS gives them: by hostname, and by their dashed IP in a headless Service."""
    labels: dict[str, str] = {}
    for endpoint in endpoints:
        dashed = endpoint.address.replace(".", "-").replace(":", "-").strip("-") if service.headless else ""
        label = endpoint.hostname or dashed
        if label:
            labels.setdefault(endpoint.pod, label)
    pods = tuple(NamedPod(label, pod) for pod, label in sorted(labels.items()))
    left_out = len(pods) - PODS_WITH_NAMES_AT_MOST
    note = f"{left_out} more pods have no name of their own" if left_out > 0 else ""
    return pods[:PODS_WITH_NAMES_AT_MOST], note


def _port_skipped(port: ServicePort) -> str:
    return "" if port.protocol == "TCP" else f"{port.protocol} cannot be forwarded"


def _skipped(service: Service, slices: Sequence[EndpointSlice], ports: Sequence[PortSpec]) -> str:
    if not ports:
        return "it has no ports"
    if all(port.skipped for port in ports):
        return ports[0].skipped
    return _unreachable(service, slices)


def _unreachable(service: Service, slices: Sequence[EndpointSlice]) -> str:
    """Why there is no pod to connect to, and none will come; empty if there is one, or may be."""
    pods = sum(endpoint_slice.pods for endpoint_slice in slices)
    others = sum(endpoint_slice.others for endpoint_slice in slices)
    if others and not pods:
        return "its endpoints are no pods"
    if not service.has_selector and not pods:
        return "no selector and no endpoints"
    return ""
