"""Services of every kind at their own names and ports. One supervisor serves all of these tests."""

from __future__ import annotations

import re

import pytest

from tests.real.cluster import Cluster
from tests.real.product import Product
from tests.real.shop import ADMIN, HTTP, Shop


@pytest.mark.core
def test_a_service_answers_by_each_of_its_names(cluster: Cluster, shop: Shop, laptop: Product) -> None:
    full = f"web.{shop.namespace}.svc.cluster.local"
    context = f"web.{shop.namespace}.{laptop.sandbox.kubectl('config', 'current-context').strip().lower()}"
    names = ["web", f"web.{shop.namespace}", f"web.{shop.namespace}.svc", full, context]
    item = laptop.items()[f"{shop.namespace}/web"]
    assert sorted(item["hostnames"]) == sorted(names)
    assert {laptop.sandbox.resolve(name)[0] for name in names} == {item["address"]}
    answers = laptop.fetch_all(*(f"http://{name}:7080/" for name in names))
    assert set(answers) <= set(cluster.pods(shop.namespace, "web"))


def test_a_bare_name_is_the_contexts_namespaces_else_the_only_ones(
    cluster: Cluster, shop: Shop, laptop: Product
) -> None:
    items = laptop.items()
    assert laptop.sandbox.resolve("web") == [items[f"{shop.namespace}/web"]["address"]]
    assert "web" not in items[f"{shop.other}/web"]["hostnames"]
    assert laptop.sandbox.resolve("lone") == [items[f"{shop.other}/lone"]["address"]]
    there, lone = laptop.fetch_all(f"http://web.{shop.other}:7080/", "http://lone:7080/")
    assert [there] == [lone] == cluster.pods(shop.other, "web")


@pytest.mark.core
def test_each_port_leads_to_its_target_port_by_name_and_by_number(shop: Shop, laptop: Product) -> None:
    urls = [shop.url("web", port, "/port") for port in (7080, 7081, 7082)]
    assert laptop.fetch_all(*urls) == [str(HTTP), str(ADMIN), str(HTTP)]


@pytest.mark.parametrize("name", ["node-port", "balanced"])
def test_other_types_of_service_are_forwarded_alike(cluster: Cluster, shop: Shop, laptop: Product, name: str) -> None:
    assert laptop.fetch_all(shop.url(name, 7080))[0] in cluster.pods(shop.namespace, "web")
    port = laptop.items()[f"{shop.namespace}/{name}"]["ports"][0]
    assert (port["port"], port["localPort"], port["targetPort"]) == (7080, 7080, "http")


def test_pods_that_disagree_about_a_named_port_are_each_asked_at_their_own(shop: Shop, laptop: Product) -> None:
    laptop.expect_answers(shop.url("mixed", 7080, "/port"), "18001", "18002")


def test_connections_spread_over_all_ready_pods(cluster: Cluster, shop: Shop, laptop: Product) -> None:
    laptop.expect_answers(shop.url("web", 7080), *cluster.pods(shop.namespace, "web"))


@pytest.mark.core
@pytest.mark.parametrize("pod", ["db-0", "db-1"])
def test_a_statefulsets_pod_answers_by_its_name_and_no_other_does(shop: Shop, laptop: Product, pod: str) -> None:
    names = [f"{pod}.db", *(f"{pod}.db.{shop.namespace}{end}" for end in ("", ".svc", ".svc.cluster.local"))]
    assert laptop.fetch_all(*[f"http://{name}:17432/" for name in names for _ in range(4)]) == [pod] * 4 * len(names)
    shown = {entry["name"]: entry for entry in laptop.items()[f"{shop.namespace}/db"]["pods"]}
    assert shown.keys() == {"db-0", "db-1"}
    assert laptop.sandbox.resolve(names[-1]) == [shown[pod]["address"]]
    assert set(names) <= set(shown[pod]["hostnames"])


@pytest.mark.core
def test_a_headless_service_listens_on_the_target_port(shop: Shop, laptop: Product) -> None:
    laptop.expect_answers(shop.url("db", 17432), "db-0", "db-1")
    (port,) = laptop.items()[f"{shop.namespace}/web-pods"]["ports"]
    assert (port["port"], port["localPort"]) == (7080, HTTP)
    assert laptop.knock(laptop.sandbox.resolve(f"web-pods.{shop.namespace}")[0], 7080) == "ConnectionRefusedError"


def test_a_headless_services_pod_without_hostname_goes_by_its_dashed_ip(
    cluster: Cluster, shop: Shop, laptop: Product
) -> None:
    for pod in cluster.pods(shop.namespace, "web"):
        address = cluster.get("pod", pod, f"--namespace={shop.namespace}")["status"]["podIP"]
        dashed = re.sub("[.:]", "-", address)
        name = f"{dashed}.web-pods.{shop.namespace}.svc.cluster.local"
        assert laptop.fetch_all(*[f"http://{name}:{HTTP}/"] * 4) == [pod] * 4


def test_a_service_without_selector_goes_where_its_slice_says(cluster: Cluster, shop: Shop, laptop: Product) -> None:
    (answer,) = laptop.fetch_all(shop.url("by-hand", 7080))
    assert answer == cluster.pods(shop.namespace, "web")[0]


def test_what_cannot_be_forwarded_is_listed_with_its_reason(shop: Shop, laptop: Product) -> None:
    items = laptop.items()
    expected = {
        "dns": "UDP cannot be forwarded",
        "sctp": "SCTP cannot be forwarded",
        "elsewhere": "ExternalName leads to example.org, outside the cluster",
        "by-nobody": "no selector and no endpoints",
        "circle": f"ExternalName leads in a circle: {shop.namespace}/circle -> {shop.namespace}/circle",
    }
    shown = {name: items[f"{shop.namespace}/{name}"] for name in expected}
    assert {name: item["reason"] for name, item in shown.items()} == expected
    for item in shown.values():
        assert (item["status"], item["address"], item["hostnames"]) == ("Skipped", "", [])
    assert laptop.sandbox.resolve(f"dns.{shop.namespace}") == []


def test_a_services_tcp_port_works_beside_its_udp_port(cluster: Cluster, shop: Shop, laptop: Product) -> None:
    (answer,) = laptop.fetch_all(shop.url("both", 7080))
    assert answer in cluster.pods(shop.namespace, "web")
    item = laptop.items()[f"{shop.namespace}/both"]
    tcp, udp = item["ports"]
    assert item["status"] in ("Idle", "Active")
    assert (tcp["protocol"], tcp["localPort"]) == ("TCP", 7080)
    assert (udp["protocol"], udp["status"], udp["reason"]) == ("UDP", "Skipped", "UDP cannot be forwarded")


@pytest.mark.parametrize("alias", ["alias", "alias-of-alias"])
def test_an_external_name_answers_like_the_service_that_it_leads_to(
    cluster: Cluster, shop: Shop, laptop: Product, alias: str
) -> None:
    url = f"http://{alias}.{shop.namespace}.svc.cluster.local:7080/"
    laptop.expect_answers(url, *cluster.pods(shop.namespace, "web"))
    assert laptop.fetch_all(shop.url(alias, 7081, "/port")) == [str(ADMIN)]
    item = laptop.items()[f"{shop.namespace}/{alias}"]
    assert item["reason"] == f"ExternalName leads to {shop.namespace}/web"
    assert [port["port"] for port in item["ports"]] == [7080, 7081, 7082]


def test_an_external_name_may_lead_into_another_namespace(cluster: Cluster, shop: Shop, laptop: Product) -> None:
    assert laptop.fetch_all(shop.url("across", 7080)) == cluster.pods(shop.other, "web")


def test_an_external_name_may_name_a_single_pod(shop: Shop, laptop: Product) -> None:
    assert laptop.fetch_all(*[shop.url("alias-of-pod", 17432)] * 4) == ["db-0"] * 4


def test_a_client_keeps_its_pod_if_the_service_wants_that(cluster: Cluster, shop: Shop, laptop: Product) -> None:
    answers = set(laptop.fetch_all(*[shop.url("sticky", 7080)] * 16))
    assert len(answers) == 1
    assert answers < set(cluster.pods(shop.namespace, "web"))


def test_a_headless_service_without_ports_has_its_pods_names_and_ports(
    cluster: Cluster, shop: Shop, laptop: Product
) -> None:
    pods = cluster.pods(shop.namespace, "web")
    laptop.expect_answers(shop.url("web-all", HTTP), *pods)
    item = laptop.items()[f"{shop.namespace}/web-all"]
    assert [(port["name"], port["port"]) for port in item["ports"]] == [("http", HTTP), ("admin", ADMIN)]
    named = {pod["name"]: pod["hostnames"][0] for pod in item["pods"]}
    assert sorted(named) == pods
    assert laptop.fetch_all(*(f"http://{named[pod]}:{ADMIN}/port" for pod in pods)) == [str(ADMIN)] * 2
    assert laptop.fetch_all(*(f"http://{named[pod]}:{HTTP}/" for pod in pods)) == pods


@pytest.mark.parametrize("name", ["web", "alias", "db-0.db"])
def test_a_full_name_may_end_with_a_dot(shop: Shop, laptop: Product, name: str) -> None:
    full = f"{name}.{shop.namespace}.svc.cluster.local"
    assert laptop.sandbox.resolve(f"{full}.") == laptop.sandbox.resolve(full) != []


def test_a_service_without_pods_is_waiting(shop: Shop, laptop: Product) -> None:
    item = laptop.items()[f"{shop.namespace}/empty"]
    assert (item["status"], item["reason"]) == ("Waiting", "no Ready pod")
    assert laptop.sandbox.resolve(f"empty.{shop.namespace}") == [item["address"]]


def test_the_api_servers_own_service_is_skipped(product: Product) -> None:
    product.detach("default/kubernetes")
    item = product.items()["default/kubernetes"]
    assert (item["status"], item["reason"]) == ("Skipped", "its endpoints are no pods")
    product.stop()


def test_an_external_name_is_followed_out_of_the_namespaces_that_were_asked_for(
    cluster: Cluster, shop: Shop, product: Product
) -> None:
    product.detach("-n", shop.namespace, "across")
    assert product.fetch_all(f"http://across.{shop.namespace}:7080/") == cluster.pods(shop.other, "web")
    assert list(product.items()) == [f"{shop.namespace}/across"]
    product.stop()
