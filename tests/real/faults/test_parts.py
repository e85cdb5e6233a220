"""A part of the cluster is away and comes back: connections wait for it, and are answered soon afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.cluster.commands import succeeds, wait_until
from tests.cluster.node import Node
from tests.real.cluster import Cluster
from tests.real.faults.beside import both, failed_of, seconds_until_answered, start
from tests.real.faults.figures import Figures
from tests.real.product import Product

pytestmark = [pytest.mark.node, pytest.mark.alone]


def _server_answers(node: Node) -> bool:
    return succeeds(node.cache.hyperkube, "kubectl", f"--kubeconfig={node.kubeconfig}", "get", "--raw=/readyz")


def _kubelet_listens(node: Node) -> bool:
    return succeeds(*node.inside_argv(), "bash", "-c", f"exec 3<>/dev/tcp/{node.ip}/10250")


def _containerd_answers(node: Node) -> bool:
    socket = str(node.state / "containerd.sock")
    return succeeds(*node.inside_argv(), str(node.cache.find("ctr")), "-a", socket, "version")


@pytest.mark.parametrize(
    ("part", "away_seconds", "is_back"),
    [
        ("etcd", 3, _server_answers),
        ("kubelet", 3, _kubelet_listens),
        ("containerd", 3, _containerd_answers),
        ("kube-apiserver", 25, _server_answers),
    ],
    ids=["etcd", "kubelet", "containerd", "kube-apiserver"],
)
def test_a_part_that_is_away_loses_nobody_who_waits(
    part: str,
    away_seconds: float,
    is_back: Callable[[Node], bool],
    cluster: Cluster,
    namespace: str,
    product: Product,
    figures: Figures,
) -> None:
    node = cluster.node
    start(cluster, namespace, product)
    with both(product, namespace) as clients:
        node.stop_part(part, 2)
        gone = time.monotonic()
        try:
            wait_until("time", lambda: time.monotonic() - gone >= away_seconds, away_seconds + 10)
        finally:
            node.start_part(part)
        wait_until(f"{part} again", lambda: is_back(node), 60)
        back = time.monotonic()
        clients.go_on(back)
    ours, bare = clients.ours, clients.bare
    what = f"{part} away for {away_seconds} s"
    answered, bare_answered = seconds_until_answered(ours, back), seconds_until_answered(bare, back)
    figures.at_most(2, f"{what}, answers after", answered, bare_answered)
    failed, bare_failed = failed_of(ours, gone), failed_of(bare, gone)
    figures.at_most(0, f"{what}, of those that came then", len(failed), len(bare_failed), unit="failed")
    product.stop()
    figures.check(failed)
