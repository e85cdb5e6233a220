"""What is read from the API server's JSON."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster import objects
from kubectl_localize.model import Endpoint, EndpointSlice, Service, ServiceKey, ServicePort
from tests.unit.cluster.samples import ENDPOINT, SERVICE, SLICE


def service_with(**spec: Any) -> Service:
    """The sample with other fields in its spec; None leaves one out."""
    merged = {name: value for name, value in {**SERVICE["spec"], **spec}.items() if value is not None}
    return objects.service({**SERVICE, "spec": merged})


def slice_with(**fields: Any) -> EndpointSlice:
    """The sample with other fields."""
    found = objects.endpoint_slice({**SLICE, **fields})
    assert found is not None
    return found


def test_a_service_as_the_api_server_sends_it() -> None:
    assert objects.service(SERVICE) == Service(
        key=ServiceKey("samples", "odd"),
        type="ClusterIP",
        headless=False,
        has_selector=True,
        ports=(ServicePort("80-9003", 80, 9003, "TCP"),),
        labels=(("app", "odd"),),
    )


def test_kinds_of_services() -> None:
    headless = service_with(clusterIP="None", clusterIPs=["None"])
    assert headless.headless
    external = service_with(type="ExternalName", externalName="db.example", clusterIP=None, selector=None, ports=None)
    assert (external.type, external.external_name, external.ports) == ("ExternalName", "db.example", ())
    assert not external.headless
    assert not external.has_selector
    assert not service_with(selector={}).has_selector
    assert service_with(type="NodePort").type == "NodePort"


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ({"port": 80}, ServicePort("", 80, 80, "TCP")),
        ({"port": 80, "targetPort": "http"}, ServicePort("", 80, "http", "TCP")),
        ({"port": 80, "targetPort": 0}, ServicePort("", 80, 80, "TCP")),
        ({"name": "dns", "port": 53, "protocol": "UDP"}, ServicePort("dns", 53, 53, "UDP")),
    ],
)
def test_ports(port: dict[str, Any], expected: ServicePort) -> None:
    assert service_with(ports=[port]).ports == (expected,)


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 0),
        ({"sessionAffinity": "None"}, 0),
        ({"sessionAffinity": "ClientIP"}, 10_800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 20}}}, 20),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": None}}, 10_800),
    ],
)
def test_how_long_a_client_keeps_its_pod(spec: dict[str, Any], seconds: int) -> None:
    assert service_with(**spec).affinity_seconds == seconds


@pytest.mark.parametrize(
    ("conditions", "serves"),
    [
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, False),
        ({"ready": False, "serving": True, "terminating": False}, False),
        ({"ready": False}, False),
        ({"ready": True, "serving": True, "terminating": False}, False),
    ],
)
def test_which_endpoints_serve_on_their_way_out(conditions: dict[str, bool], serves: bool) -> None:
    endpoint_slice = slice_with(endpoints=[{**ENDPOINT, "conditions": conditions}])
    assert [endpoint.terminating for endpoint in endpoint_slice.terminating] == [True] * serves


def test_a_slice_as_the_api_server_sends_it() -> None:
    assert objects.endpoint_slice(SLICE) == EndpointSlice(
        name="web-754nw",
        service=ServiceKey("try", "web"),
        ports=(("nothing", 9999), ("http", 8080)),
        endpoints=(Endpoint("web-2cvml", 0, "10.244.0.8", ""),),
        others=0,
        pods=1,
    )


def test_a_slice_of_no_service_is_of_no_interest() -> None:
    assert objects.endpoint_slice({**SLICE, "metadata": {"name": "x", "namespace": "y"}}) is None


@pytest.mark.parametrize(
    ("changes", "ready", "pods", "others"),
    [
        ({}, True, 1, 0),
        ({"conditions": {}}, True, 1, 0),
        ({"conditions": None}, True, 1, 0),
        ({"conditions": {"ready": None}}, True, 1, 0),
        ({"conditions": {"ready": False, "serving": False, "terminating": False}}, False, 1, 0),
        ({"conditions": {"ready": False, "serving": True, "terminating": True}}, False, 1, 0),
        ({"targetRef": None}, False, 0, 1),
        ({"targetRef": {"kind": "Node", "name": "node"}}, False, 0, 1),
    ],
)
def test_which_endpoints_count(changes: dict[str, Any], ready: bool, pods: int, others: int) -> None:
    found = slice_with(endpoints=[{**ENDPOINT, **changes}])
    assert (len(found.endpoints), found.pods, found.others) == (int(ready), pods, others)


def test_a_hostname_is_kept() -> None:
    assert slice_with(endpoints=[{**ENDPOINT, "hostname": "db-0"}]).endpoints[0].hostname == "db-0"


def test_null_for_ports_endpoints_and_numbers() -> None:
    assert slice_with(ports=None).ports == ()
    assert slice_with(endpoints=None).endpoints == ()
    assert slice_with(ports=[{"name": "", "port": None, "protocol": "TCP"}]).ports == (("", None),)


def test_ports_that_are_not_tcp_are_left_out() -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    assert slice_with(ports=ports).ports == (("dns-tcp", 53),)


FORGED_NAMES = [
    "", "Web", "web\n127.0.0.1 evil", "../../secrets", "--kubeconfig=/tmp/x", "$(reboot)", "web\x1b[2J", "w\u200bb",
    "a" * 254, 7,
]  # fmt: skip


@pytest.mark.parametrize("name", FORGED_NAMES, ids=repr)
def test_what_no_api_server_allows_is_left_out(name: object) -> None:
    meta = SERVICE["metadata"]
    assert objects.listed_service({**SERVICE, "metadata": {**meta, "name": name}}) is None
    assert objects.listed_service({**SERVICE, "metadata": {**meta, "namespace": name}}) is None
    assert slice_with(endpoints=[{**ENDPOINT, "targetRef": {"kind": "Pod", "name": name}}]).endpoints == ()
    labels = {**SLICE["metadata"]["labels"], objects.SERVICE_NAME_LABEL: name}
    assert objects.endpoint_slice({**SLICE, "metadata": {**SLICE["metadata"], "labels": labels}}) is None


@pytest.mark.parametrize(
    "port",
    [
        {"port": 0},
        {"port": 65536},
        {"port": "80"},
        {"port": True},
        {"port": 80, "targetPort": -1},
        {"port": 80, "targetPort": "a\x07"},
        {"port": 80, "name": "a\u202eb"},
    ],
)
def test_a_port_that_no_api_server_allows(port: dict[str, Any]) -> None:
    assert objects.listed_service({**SERVICE, "spec": {**SERVICE["spec"], "ports": [port]}}) is None


@pytest.mark.parametrize("spec", [{"type": "a\x1b[2J"}, {"externalName": "a\nb"}, {"externalName": "a" * 300}])
def test_a_word_that_no_api_server_allows(spec: dict[str, Any]) -> None:
    assert objects.listed_service({**SERVICE, "spec": {**SERVICE["spec"], **spec}}) is None


def test_what_an_api_server_allows_is_listed() -> None:
    assert objects.listed_service(SERVICE) == objects.service(SERVICE)
    assert objects.is_name("a" * 253)
    assert objects.is_name("0.b-c")
