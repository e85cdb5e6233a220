"""Pods are replaced, gently or by force, while connections come 20 times a second."""

from __future__ import annotations

from tests.real.cluster import Cluster
from tests.real.faults.beside import both, start
from tests.real.faults.figures import Figures
from tests.real.product import Product
from tests.real.test_stability import wait_replaced
from tests.real.traffic import Attempt


def _other_than(attempts: list[Attempt], pods: list[str]) -> list[Attempt]:
    """Those that another pod, or none of these, answered."""
    return [attempt for attempt in attempts if attempt.body not in pods]


def test_a_rolling_restart(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    start(cluster, namespace, product, pre_stop_seconds=1)
    before = cluster.pods(namespace, "web")
    with both(product, namespace) as clients:
        cluster.kubectl("rollout", "restart", "deployment/web", f"--namespace={namespace}")
        after = wait_replaced(cluster, namespace, before)
        clients.ours.more(40)
    ours, bare = clients.ours, clients.bare
    figures.at_most(0, "rollout restart, 2 replicas", len(ours.failed), len(bare.failed), unit="failed")
    assert not _other_than(ours.answered[-20:], after)
    product.stop()
    figures.check(ours.failed)


def test_all_pods_force_deleted(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    start(cluster, namespace, product)
    before = cluster.pods(namespace, "web")
    with both(product, namespace) as clients:
        force = ("--grace-period=0", "--force", "--wait=false")
        cluster.kubectl("delete", "pod", *before, *force, f"--namespace={namespace}")
        after = wait_replaced(cluster, namespace, before)
        clients.ours.more(40)
    ours, bare = clients.ours, clients.bare
    figures.at_most(0, "all pods force-deleted", len(ours.failed), len(bare.failed), unit="failed")
    assert not _other_than(ours.answered[-20:], after)
    product.stop()
    figures.check(ours.failed)
