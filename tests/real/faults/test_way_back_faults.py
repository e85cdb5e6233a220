"""A way back that the API server or the network does not let us walk: the exposure ends when they are there again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.crashing import REPLICAS, open_port, open_web, wait_tidy
from tests.real.exposing import expose, replicas
from tests.real.product import Product

pytestmark = [pytest.mark.node, pytest.mark.alone]


def sever(cluster: Cluster) -> Callable[[], None]:
    """Cut the link; returns what mends it."""
    cluster.node.sever()
    return cluster.node.mend


def stop_api_server(cluster: Cluster) -> Callable[[], None]:
    """Stop the API server; returns what starts it."""
    node = cluster.node
    node.stop_part("kube-apiserver", 2)

    def start() -> None:
        node.start_part("kube-apiserver")
        wait_until("API server", lambda: node.is_up, 60)

    return start


@pytest.mark.parametrize("end", [("expose", "--stop", "WEB"), ("stop",)], ids=["expose --stop", "stop"])
@pytest.mark.parametrize("break_it", [sever, stop_api_server], ids=["link", "API server"])
def test_a_cluster_that_is_away_only_delays_the_end(
    cluster: Cluster,
    namespace: str,
    product: Product,
    break_it: Callable[[Cluster], Callable[[], None]],
    end: tuple[str, ...],
) -> None:
    sandbox = product.sandbox
    web = open_web(cluster, namespace)
    with open_port() as port:
        done = expose(sandbox, "-d", web, f"--map={port}")
        assert done.returncode == 0, done.stderr
        mend = break_it(cluster)
        try:
            done = sandbox.localize(*(web if word == "WEB" else word for word in end), timeout=120)
            assert done.returncode == 1, done.stderr
            assert "could not be brought back" in done.stderr
            assert "it is tried again until it is done" in done.stderr
            assert product.items()[web]["status"] == "Restoring"
        finally:
            mend()
        wait_until("workload", lambda: replicas(cluster, namespace, "deployment/web") == REPLICAS, 90)
        wait_tidy(cluster, sandbox, namespace)
    wait_until("end of the supervisor", lambda: product.document()["supervisors"] == [], 30)
