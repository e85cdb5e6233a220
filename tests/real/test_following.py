"""What changes in the cluster is followed while `kubectl localize` runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product


@pytest.mark.core
def test_services_come_change_and_go(cluster: Cluster, namespace: str, product: Product) -> None:
    cluster.apply(namespace, service("first", {7080: 8080}))
    product.detach("-n", namespace)
    assert list(product.items()) == [f"{namespace}/first"]

    cluster.apply(namespace, service("second", {7080: 8080}))
    second = product.wait_item(f"{namespace}/second", "listed", lambda item: item["address"] != "")
    wait_until("the new name", lambda: product.sandbox.resolve(f"second.{namespace}") == [second["address"]], 10)

    cluster.apply(namespace, service("second", {7090: 8080}))
    product.wait_item(f"{namespace}/second", "on its new port", lambda item: item["ports"][0]["localPort"] == 7090)
    assert product.knock(second["address"], 7080) == "ConnectionRefusedError"
    assert product.sandbox.resolve(f"second.{namespace}") == [second["address"]]

    cluster.kubectl("delete", "service", "second", f"--namespace={namespace}")
    wait_until("end of the removed Service", lambda: list(product.items()) == [f"{namespace}/first"], 20)
    wait_until("end of its name", lambda: product.sandbox.resolve(f"second.{namespace}") == [], 10)
    assert product.knock(second["address"], 7090) == "ConnectionRefusedError"
    product.stop()


def test_a_changed_selector_and_scaling_lead_to_the_right_pods(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    url = f"http://web.{namespace}:7080/"
    cluster.apply(namespace, deployment("blue"), deployment("green"), service("web", {7080: "http"}, "blue"))
    cluster.wait_ready(namespace, "deployment/blue", "deployment/green")
    product.detach("-n", namespace)
    (blue,) = cluster.pods(namespace, "blue")
    product.expect_answers(url, blue)

    cluster.apply(namespace, service("web", {7080: "http"}, "green"))
    (green,) = cluster.pods(namespace, "green")
    product.wait_item(f"{namespace}/web", "with the other pod", lambda item: item["endpoints"] == [green])
    product.expect_answers(url, green)

    cluster.kubectl("scale", "deployment/green", "--replicas=3", f"--namespace={namespace}")
    cluster.wait_ready(namespace, "deployment/green")
    pods = cluster.pods(namespace, "green")
    assert len(pods) == 3
    product.wait_item(f"{namespace}/web", "with three pods", lambda item: item["endpoints"] == pods)
    product.expect_answers(url, *pods)

    cluster.kubectl("scale", "deployment/green", "--replicas=1", f"--namespace={namespace}")
    item = product.wait_item(f"{namespace}/web", "with one pod", lambda item: len(item["endpoints"]) == 1)
    product.expect_answers(url, *item["endpoints"])
    product.stop()


def test_a_connection_made_while_no_pod_is_ready_is_answered_once_one_is(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    cluster.apply(namespace, deployment("late", replicas=0), service("late", {7080: "http"}))
    product.detach("-n", namespace, "--wait-timeout", "60s")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(product.fetch_all, f"http://late.{namespace}:7080/", timeout=60)
        item = product.wait_item(f"{namespace}/late", "holds it", lambda item: item["ports"][0]["connections"] == 1)
        assert (item["status"], item["reason"]) == ("Waiting", "no Ready pod")
        cluster.kubectl("scale", "deployment/late", "--replicas=1", f"--namespace={namespace}")
        answers = waiting.result(90)
    assert answers == cluster.pods(namespace, "late")
    product.stop()


def test_the_last_pod_serves_until_it_is_gone(cluster: Cluster, namespace: str, product: Product) -> None:
    """As with kube-proxy: it is on its way out, and no Ready one is left."""
    cluster.apply(namespace, deployment("last", pre_stop_seconds=25), service("last", {7080: "http"}))
    cluster.wait_ready(namespace, "deployment/last")
    cluster.wait_endpoints(namespace, "last")
    (pod,) = cluster.pods(namespace, "last")
    product.detach("-n", namespace)
    cluster.kubectl("scale", "deployment/last", "--replicas=0", f"--namespace={namespace}")
    wait_until("its end to begin", lambda: cluster.pods(namespace, "last") == [], 10)
    assert product.fetch_all(*[f"http://last.{namespace}:7080/"] * 4, timeout=10) == [pod] * 4
    assert product.items()[f"{namespace}/last"]["endpoints"] == [pod]
    cluster.kubectl("delete", "pod", pod, "--grace-period=0", "--force", f"--namespace={namespace}")
    product.wait_item(f"{namespace}/last", "without it", lambda item: item["status"] == "Waiting", 20)
    product.stop()


def test_a_connection_is_reset_when_no_pod_comes_in_time(cluster: Cluster, namespace: str, product: Product) -> None:
    cluster.apply(namespace, service("never", {7080: "http"}))
    product.detach("-n", namespace, "--wait-timeout", "1s")
    assert product.knock(product.items()[f"{namespace}/never"]["address"], 7080) == "ConnectionResetError"
    product.stop()


def test_a_bare_name_goes_when_a_second_namespace_has_it(
    cluster: Cluster, namespaces: Callable[[], str], product: Product
) -> None:
    one, other = namespaces(), namespaces()
    cluster.apply(one, service("solo", {7080: 8080}))
    product.detach("-n", one, "-n", other)
    assert product.sandbox.resolve("solo") == [product.items()[f"{one}/solo"]["address"]]
    cluster.apply(other, service("solo", {7080: 8080}))
    wait_until("end of the bare name", lambda: product.sandbox.resolve("solo") == [], 20)
    assert len(product.sandbox.resolve(f"solo.{one}")) == 1
    cluster.kubectl("delete", "service", "solo", f"--namespace={one}")
    wait_until("the other's bare name", lambda: len(product.sandbox.resolve("solo")) == 1, 20)
    product.stop()


def test_a_label_selector_follows_labels(cluster: Cluster, namespace: str, product: Product) -> None:
    cluster.apply(namespace, service("in", {7080: 8080}), service("out", {7080: 8080}))
    cluster.kubectl("label", "service/in", "tier=front", f"--namespace={namespace}")
    product.detach("-n", namespace, "-l", "tier=front")
    assert list(product.items()) == [f"{namespace}/in"]
    cluster.kubectl("label", "service/out", "tier=front", f"--namespace={namespace}")
    cluster.kubectl("label", "service/in", "tier-", f"--namespace={namespace}")
    wait_until("the other Service", lambda: list(product.items()) == [f"{namespace}/out"], 20)
    assert json.loads(product.ls("-o", "json", "-l", "tier=front"))["items"] != []
    product.stop()
