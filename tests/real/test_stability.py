"""What developers' clusters do all day, seen by an outside client that opens 20 connections a second."""

from __future__ import annotations

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product
from tests.real.traffic import COUNTED_PER_SECOND, Figure, Traffic

PORT = 7080


def start(cluster: Cluster, namespace: str, product: Product, pre_stop_seconds: float = 0) -> None:
    """Two replicas of `web`, forwarded."""
    cluster.apply(
        namespace,
        deployment("web", replicas=2, pre_stop_seconds=pre_stop_seconds),
        service("web", {PORT: "http"}),
    )
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    product.wait_item(f"{namespace}/web", "with both pods", lambda item: len(item["endpoints"]) == 2, 10)


def wait_replaced(cluster: Cluster, namespace: str, before: list[str]) -> list[str]:
    """Wait until two new pods are Ready and those before are gone; returns the new ones."""

    def replaced() -> bool:
        items = cluster.get("pods", f"--namespace={namespace}", "--selector=app=web")["items"]
        there = {pod["metadata"]["name"] for pod in items}
        return not there & set(before) and len(cluster.pods(namespace, "web")) == 2

    wait_until("two new pods instead of the old ones", replaced, 60)
    return cluster.pods(namespace, "web")


def assert_none_failed(traffic: Traffic, text: str) -> None:
    """No attempt failed, and there were enough of them."""
    assert not traffic.failed, f"{text}\n{traffic.failed[:5]}"
    assert traffic.per_second >= COUNTED_PER_SECOND, text


def test_a_rolling_restart_fails_no_connection(
    cluster: Cluster, namespace: str, product: Product, figure: Figure
) -> None:
    start(cluster, namespace, product, pre_stop_seconds=1)
    before = cluster.pods(namespace, "web")
    with Traffic(product.sandbox, f"web.{namespace}", PORT) as traffic:
        traffic.more(40)
        cluster.kubectl("rollout", "restart", "deployment/web", f"--namespace={namespace}")
        after = wait_replaced(cluster, namespace, before)
        traffic.more(40)
    assert_none_failed(traffic, figure(traffic.summary("rollout restart")))
    assert {attempt.body for attempt in traffic.answered[-20:]} <= set(after)
    assert {attempt.body for attempt in traffic.answered} >= set(before)
    product.stop()


def test_connections_wait_while_both_pods_are_force_deleted(
    cluster: Cluster, namespace: str, product: Product, figure: Figure
) -> None:
    start(cluster, namespace, product)
    before = cluster.pods(namespace, "web")
    with Traffic(product.sandbox, f"web.{namespace}", PORT) as traffic:
        traffic.more(40)
        force = ("--grace-period=0", "--force", "--wait=false")
        cluster.kubectl("delete", "pod", *before, *force, f"--namespace={namespace}")
        after = wait_replaced(cluster, namespace, before)
        traffic.more(40)
    assert_none_failed(traffic, figure(traffic.summary("both pods force-deleted")))
    assert {attempt.body for attempt in traffic.answered[-20:]} <= set(after)
    product.stop()


def test_a_port_that_refuses_disturbs_no_other(
    cluster: Cluster, namespace: str, product: Product, figure: Figure
) -> None:
    cluster.apply(namespace, deployment("web"), service("web", {PORT: "http", 7081: 9999}))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    (pod,) = cluster.pods(namespace, "web")
    host = f"web.{namespace}"
    with Traffic(product.sandbox, host, PORT, "/slow?s=0.3") as traffic:
        refused = product.fetch_all(*[f"http://{host}:7081/"] * 30)
        traffic.more(20)
    assert not set(refused) & {pod}
    assert_none_failed(traffic, figure(traffic.summary("another port refuses")))
    product.stop()


@pytest.mark.node
@pytest.mark.alone
def test_it_goes_on_after_a_restart_of_the_api_server(
    cluster: Cluster, namespace: str, product: Product, figure: Figure
) -> None:
    start(cluster, namespace, product)
    with Traffic(product.sandbox, f"web.{namespace}", PORT) as traffic:
        traffic.more(40)
        cluster.node.restart_apiserver()
        traffic.more(40)
        cluster.apply(namespace, service("more", {PORT: "http"}, "web"))
        cluster.wait_endpoints(namespace, "more", pods=2)
        product.wait_item(f"{namespace}/more", "followed", lambda item: len(item["endpoints"]) == 2)
    figure(traffic.summary("API server restarted"))
    assert len(traffic.failed) <= 3, traffic.failed  # those that were under way when it went
    product.stop()
