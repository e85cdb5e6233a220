"""What shall run for a Service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_localize.model import Endpoint, EndpointSlice, Service, ServiceKey, ServicePort
from kubectl_localize.supervisor.forwarding.spec import (
    PODS_WITH_NAMES_AT_MOST,
    Binding,
    ForwardSpec,
    NamedPod,
    difference,
    endpoints_of,
    forward_spec,
    portless_spec,
)

WEB = ServiceKey("shop", "web")
HTTP = ServicePort("http", 80, "http")
SERVICE = Service(WEB, "ClusterIP", False, True, (HTTP,))
HEADLESS = replace(SERVICE, headless=True)


def slice_of(
    *pods: Endpoint, ports: tuple[tuple[str, int | None], ...] = (("http", 8080),), others: int = 0
) -> EndpointSlice:
    """A slice of the Service."""
    return EndpointSlice("web-x", WEB, ports, pods, others, len(pods))


def pod(name: str, address: str = "", hostname: str = "") -> Endpoint:
    """A Ready pod as a slice has it."""
    return Endpoint(name, 0, address, hostname)


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_a_service_listens_on_its_ports_and_leads_to_the_numbers_of_its_pods(kind: str) -> None:
    spec = forward_spec(replace(SERVICE, type=kind), [slice_of(pod("a"), pod("b"))])
    both = (Endpoint("a", 8080), Endpoint("b", 8080))
    assert spec.bindings == {Binding("", 80): both}
    assert [port.numbers for port in spec.ports] == [(80,)]
    assert (spec.endpoints, spec.pods, spec.skipped, spec.note) == (both, (), "", "")


def test_pods_that_disagree_about_a_named_port_keep_their_own_numbers() -> None:
    spec = forward_spec(SERVICE, [slice_of(pod("a")), slice_of(pod("b"), ports=(("http", 9090),))])
    assert spec.bindings == {Binding("", 80): (Endpoint("a", 8080), Endpoint("b", 9090))}


def test_several_ports_go_their_own_ways() -> None:
    service = replace(SERVICE, ports=(HTTP, ServicePort("admin", 9000, 9000), ServicePort("dns", 53, 53, "UDP")))
    spec = forward_spec(service, [slice_of(pod("a"), ports=(("http", 8080), ("admin", 9000)))])
    assert spec.bindings == {Binding("", 80): (Endpoint("a", 8080),), Binding("", 9000): (Endpoint("a", 9000),)}
    assert [port.skipped for port in spec.ports] == ["", "", "UDP cannot be forwarded"]


def test_a_pod_counts_once_though_slices_and_families_repeat_it() -> None:
    slices = [slice_of(pod("a", "fd00::8")), slice_of(pod("a", "10.0.0.8")), slice_of(pod("a", "10.0.0.8"))]
    assert endpoints_of(HTTP, slices) == (Endpoint("a", 8080, "10.0.0.8"),)


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (ServicePort("http", 80, 8000), (Endpoint("a", 8000),)),
        (ServicePort("http", 80, "web"), ()),
        (ServicePort("other", 80, 8000), ()),
    ],
)
def test_a_slice_without_a_number_means_every_port(port: ServicePort, expected: tuple[Endpoint, ...]) -> None:
    assert endpoints_of(port, [slice_of(pod("a"), ports=(("http", None),))]) == expected


def test_a_headless_service_listens_on_its_pods_numbers_and_each_pod_on_its_own() -> None:
    slices = [slice_of(pod("a", "10.0.0.8")), slice_of(pod("b", "fd00::9"), ports=(("http", 9090),))]
    a, b = Endpoint("a", 8080, "10.0.0.8"), Endpoint("b", 9090, "fd00::9")
    spec = forward_spec(HEADLESS, slices)
    assert spec.bindings == {
        Binding("", 8080): (a,),
        Binding("", 9090): (b,),
        Binding("10-0-0-8", 8080): (a,),
        Binding("fd00--9", 9090): (b,),
    }
    assert spec.ports[0].numbers == (8080, 9090)
    assert spec.pods == (NamedPod("10-0-0-8", "a"), NamedPod("fd00--9", "b"))


def test_pods_of_a_stateful_set_go_by_their_hostnames() -> None:
    spec = forward_spec(HEADLESS, [slice_of(pod("web-0", "10.0.0.8", "web-0"), pod("web-1", "10.0.0.9", "web-1"))])
    assert spec.pods == (NamedPod("web-0", "web-0"), NamedPod("web-1", "web-1"))
    assert spec.bindings[Binding("web-1", 8080)] == (Endpoint("web-1", 8080, "10.0.0.9", "web-1"),)


def test_pods_that_share_a_hostname_share_its_bindings() -> None:
    spec = forward_spec(HEADLESS, [slice_of(pod("a", "10.0.0.8", "same"), pod("b", "10.0.0.9", "same"))])
    assert [endpoint.pod for endpoint in spec.bindings[Binding("same", 8080)]] == ["a", "b"]


def test_two_ports_of_a_headless_service_with_one_number_share_a_binding() -> None:
    service = replace(HEADLESS, ports=(HTTP, ServicePort("too", 81, 8080)))
    spec = forward_spec(service, [slice_of(pod("a", hostname="h"), ports=(("http", 8080), ("too", 8080)))])
    assert set(spec.bindings) == {Binding("", 8080), Binding("h", 8080)}
    assert [endpoint.pod for endpoint in spec.bindings[Binding("", 8080)]] == ["a"]


@pytest.mark.parametrize(("target", "numbers"), [(8080, (8080,)), ("http", ())])
def test_a_headless_service_without_pods_waits_on_what_is_known(target: int | str, numbers: tuple[int, ...]) -> None:
    spec = forward_spec(replace(HEADLESS, ports=(ServicePort("http", 80, target),)), [])
    assert spec.ports[0].numbers == numbers
    assert spec.bindings == {Binding("", number): () for number in numbers}
    assert spec.skipped == ""


def test_more_pods_than_get_a_name_is_said() -> None:
    pods = [pod(f"p{number:03}", f"10.0.1.{number}") for number in range(PODS_WITH_NAMES_AT_MOST + 3)]
    spec = forward_spec(HEADLESS, [slice_of(*pods)])
    assert len(spec.pods) == PODS_WITH_NAMES_AT_MOST
    assert spec.note == "3 more pods have no name of their own"
    assert len(spec.bindings[Binding("", 8080)]) == len(pods)


def leaving(name: str) -> Endpoint:
    """A pod on its way out that still serves."""
    return Endpoint(name, 0, terminating=True)


def test_a_pod_on_its_way_out_serves_if_no_ready_one_is_left() -> None:
    slices = [replace(slice_of(), terminating=(leaving("a"),)), slice_of(ports=(("other", 1),))]
    assert forward_spec(SERVICE, slices).bindings == {Binding("", 80): (Endpoint("a", 8080, terminating=True),)}
    with_ready = [*slices, slice_of(pod("b"))]
    assert forward_spec(SERVICE, with_ready).bindings == {Binding("", 80): (Endpoint("b", 8080),)}
    assert forward_spec(HEADLESS, slices).endpoints == (), "the cluster's DNS does not name it"


@pytest.mark.parametrize(("service", "seconds"), [(SERVICE, 600), (HEADLESS, 0)])
def test_a_client_keeps_its_pod_only_where_kube_proxy_sees_to_it(service: Service, seconds: int) -> None:
    assert forward_spec(replace(service, affinity_seconds=600), [slice_of(pod("a"))]).affinity_seconds == seconds


PORTLESS = replace(HEADLESS, ports=())


def test_a_headless_service_without_ports_listens_on_what_its_containers_name() -> None:
    slices = [slice_of(pod("a", "10.0.0.8"), pod("b", "10.0.0.9", "b-0"), pod("c", "10.0.0.10"), ports=())]
    declared = {"a": (("http", 8080), ("web", 8080)), "b": (("http", 8080), ("metrics", 9090)), "c": ()}
    spec = portless_spec(PORTLESS, slices, declared)
    a, b, metrics = (
        Endpoint("a", 8080, "10.0.0.8"),
        Endpoint("b", 8080, "10.0.0.9", "b-0"),
        Endpoint("b", 9090, "10.0.0.9", "b-0"),
    )
    assert spec.bindings == {
        Binding("", 8080): (a, b),
        Binding("10-0-0-8", 8080): (a,),
        Binding("", 9090): (metrics,),
        Binding("b-0", 8080): (b,),
        Binding("b-0", 9090): (metrics,),
    }
    assert [(port.port.port, port.numbers) for port in spec.ports] == [(8080, (8080,)), (9090, (9090,))]
    assert spec.pods == (NamedPod("10-0-0-8", "a"), NamedPod("b-0", "b"))


@pytest.mark.parametrize(
    ("declared", "skipped"),
    [({}, ""), ({"a": ()}, "it has no ports, and no container port of its pods is known")],
)
def test_a_headless_service_whose_containers_name_no_port(
    declared: dict[str, tuple[tuple[str, int], ...]], skipped: str
) -> None:
    spec = portless_spec(PORTLESS, [slice_of(pod("a"), ports=())], declared)
    assert (spec.skipped, spec.bindings) == (skipped, {})
    assert portless_spec(PORTLESS, [], {}).skipped == "", "its pods are still to come"
    assert portless_spec(replace(PORTLESS, has_selector=False), [], {}).skipped == "no selector and no endpoints"
    assert portless_spec(PORTLESS, [slice_of(others=1)], {}).skipped == "its endpoints are no pods"


@pytest.mark.parametrize(
    ("service", "slices", "reason"),
    [
        (replace(SERVICE, ports=()), [], "it has no ports"),
        (replace(SERVICE, ports=(ServicePort("dns", 53, 53, "UDP"),)), [], "UDP cannot be forwarded"),
        (replace(SERVICE, ports=(ServicePort("sip", 53, 53, "SCTP"),)), [], "SCTP cannot be forwarded"),
        (replace(SERVICE, has_selector=False), [slice_of(others=1)], "its endpoints are no pods"),
        (SERVICE, [slice_of(others=1)], "its endpoints are no pods"),
        (replace(SERVICE, has_selector=False), [], "no selector and no endpoints"),
        (replace(SERVICE, has_selector=False), [slice_of(pod("a"))], ""),
        (SERVICE, [], ""),
        (SERVICE, [slice_of(pod("a"), others=1)], ""),
    ],
)
def test_what_cannot_be_forwarded_has_a_reason(service: Service, slices: list[EndpointSlice], reason: str) -> None:
    spec = forward_spec(service, slices)
    assert spec.skipped == reason
    assert bool(spec.bindings) == (not reason)


def test_a_pods_label_is_one_that_dns_allows() -> None:
    spec = forward_spec(HEADLESS, [slice_of(pod("a", "fd00::"))])
    assert [named.label for named in spec.pods] == ["fd00"]


def ready(*pods: str, service: Service = SERVICE) -> ForwardSpec:
    """What shall run for the Service with these Ready pods."""
    return forward_spec(service, [slice_of(*map(pod, pods))])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, ready("a"), "a new Service"),
        (ready("a"), ready("a"), ""),
        (ready(), ready("a"), "pod a is Ready"),
        (ready(), ready("a", "b"), "pods a, b are Ready"),
        (ready("a"), ready("a", "b"), ""),
        (ready("a"), ready("b"), "pod a is gone, now b"),
        (ready("a", "b"), ready(), "pods a, b are gone, no Ready pod"),
        (
            ready("a"),
            ready("b", service=replace(SERVICE, ports=(ServicePort("http", 81, 81),))),
            "its ports have changed",
        ),
        (ready("a"), ForwardSpec(SERVICE, (), skipped="ExternalName leads to db.example, outside the cluster"), ""),
    ],
)
def test_what_is_worth_telling_of_a_change(before: ForwardSpec | None, after: ForwardSpec, expected: str) -> None:
    assert difference(before, after) == expected
