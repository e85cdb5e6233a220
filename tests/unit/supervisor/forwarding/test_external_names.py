"""Where Services of type ExternalName lead."""

from __future__ import annotations

import pytest

from kubectl_localize.model import Endpoint, Service, ServiceKey, ServicePort
from kubectl_localize.supervisor.forwarding.external_names import alias_spec, dead_end, destination, named_service
from kubectl_localize.supervisor.forwarding.spec import Binding, ForwardSpec, PortSpec

WEB, DB = ServiceKey("shop", "web"), ServiceKey("data", "db")
HTTP = ServicePort("http", 80, "http")
TARGET = Service(WEB, "ClusterIP", False, True, (HTTP,))


def external(key: str, name: str) -> Service:
    """A Service `ns/name` that is another name."""
    namespace, _, service = key.partition("/")
    return Service(ServiceKey(namespace, service), "ExternalName", False, False, (), external_name=name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web.shop.svc.cluster.local", (WEB, "")),
        ("web.shop.svc.cluster.local.", (WEB, "")),
        ("Web.Shop.SVC.Cluster.Local", (WEB, "")),
        ("db-0.db.data.svc.cluster.local", (DB, "db-0")),
        ("web.shop.svc", None),
        ("web.shop", None),
        ("web.shop.svc.cluster.local.example.org", None),
        ("shop.svc.cluster.local", None),
        ("a.b.c.d.svc.cluster.local", None),
        (".shop.svc.cluster.local", None),
        ("cluster.local", None),
        ("example.org", None),
        ("", None),
    ],
)
def test_which_names_are_services(name: str, expected: tuple[ServiceKey, str] | None) -> None:
    assert named_service(name, "cluster.local") == expected


def test_the_cluster_domain_counts() -> None:
    assert named_service("web.shop.svc.corp.example", "corp.example") == (WEB, "")
    assert named_service("web.shop.svc.cluster.local", "corp.example") is None


def lookup_of(*services: Service) -> dict[ServiceKey, Service]:
    """What there is."""
    return {service.key: service for service in services}


def test_it_leads_to_a_service_also_over_another_of_its_kind() -> None:
    first = external("shop/first", "second.data.svc.cluster.local")
    second = external("data/second", "web.shop.svc.cluster.local")
    end = destination(first, lookup_of(first, second, TARGET).get, "cluster.local")
    assert (end.service, end.pod, end.reason) == (TARGET, "", "")
    assert end.chain == (first.key, second.key, WEB)


@pytest.mark.parametrize(
    ("services", "reason"),
    [
        ([external("shop/a", "example.org")], "ExternalName leads to example.org, outside the cluster"),
        (
            [external("shop/a", "b.shop.svc.cluster.local"), external("shop/b", "example.org")],
            "ExternalName leads to example.org, outside the cluster",
        ),
        (
            [external("shop/a", "a.shop.svc.cluster.local")],
            "ExternalName leads in a circle: shop/a -> shop/a",
        ),
        (
            [external("shop/a", "b.shop.svc.cluster.local"), external("shop/b", "a.shop.svc.cluster.local")],
            "ExternalName leads in a circle: shop/a -> shop/b -> shop/a",
        ),
        (
            [external("shop/a", "db.data.svc.cluster.local")],
            "ExternalName leads to data/db, which is not there or not followed (-n data)",
        ),
    ],
)
def test_what_leads_nowhere_says_why(services: list[Service], reason: str) -> None:
    end = destination(services[0], lookup_of(*services).get, "cluster.local")
    assert (end.service, end.reason) == (None, reason)
    assert dead_end(services[0], end.reason).skipped == reason


A, B = Endpoint("a", 8080), Endpoint("b", 8080, hostname="web-0")
SPEC = ForwardSpec(
    TARGET, (PortSpec(HTTP, (80,)),), (), {Binding("", 80): (A, B), Binding("web-0", 8080): (B,)}, (A, B),
    affinity_seconds=60,
)  # fmt: skip


def test_what_runs_is_the_targets_with_the_targets_pods() -> None:
    alias = external("billing/api", "web.shop.svc.cluster.local")
    spec = alias_spec(alias, SPEC, "")
    assert (spec.key, spec.namespace) == (alias.key, "shop")
    assert spec.bindings == {Binding("", 80): (A, B)}
    assert (spec.ports, spec.endpoints, spec.affinity_seconds) == (SPEC.ports, (A, B), 60)
    assert (spec.skipped, spec.note, spec.pods) == ("", "ExternalName leads to shop/web", ())


def test_one_that_names_a_pod_leads_to_it_alone() -> None:
    alias = external("billing/api", "web-0.web.shop.svc.cluster.local")
    spec = alias_spec(alias, SPEC, "web-0")
    assert (spec.bindings, spec.endpoints) == ({Binding("", 8080): (B,)}, (B,))
    gone = alias_spec(alias, SPEC, "web-9")
    assert gone.skipped == "ExternalName leads to web-9 of shop/web: there is no such Ready pod"


def test_what_cannot_be_forwarded_cannot_be_reached_by_another_name_either() -> None:
    alias = external("billing/api", "web.shop.svc.cluster.local")
    spec = alias_spec(alias, ForwardSpec(TARGET, (), skipped="UDP cannot be forwarded"), "")
    assert spec.skipped == "ExternalName leads to shop/web: UDP cannot be forwarded"
