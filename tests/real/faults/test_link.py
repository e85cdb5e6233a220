"""The link is silent, or the interface is down: connections are answered soon after it is back."""

from __future__ import annotations

import time

import pytest

from tests.cluster.commands import run, wait_until
from tests.cluster.node import Node
from tests.real.cluster import Cluster
from tests.real.faults.beside import both, failed_of, seconds_until_answered, start
from tests.real.faults.figures import Figures
from tests.real.product import Product

SETTLED_SECONDS = 5.0  # after this time no new connection may fail any more


def _nowhere(node: Node) -> tuple[str, ...]:
    """A route for the time without the interface: else packets to the node would leave by the machine's default one."""
    return ("unreachable", f"{node.ip.rpartition('.')[0]}.0/24", "metric", "4000")


def _cut(node: Node, how: str) -> None:
    if how == "silent":
        node.sever()
    else:
        run("ip", "route", "add", *_nowhere(node))
        run("ip", "link", "set", node.veth, "down")


def _mend(node: Node, how: str) -> None:
    if how == "silent":
        node.mend()
    else:
        run("ip", "link", "set", node.veth, "up")
        run("ip", "route", "del", *_nowhere(node))


@pytest.mark.node
@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("how", "seconds", "bound"), [("silent", 20, 1), ("silent", 60, 2), ("silent", 300, 3), ("down", 60, 3)]
)
def test_a_link_that_is_away(
    how: str, seconds: float, bound: float, cluster: Cluster, namespace: str, product: Product, figures: Figures
) -> None:
    start(cluster, namespace, product)
    with both(product, namespace) as clients:
        began = time.monotonic()
        _cut(cluster.node, how)
        try:
            wait_until("time", lambda: time.monotonic() - began >= seconds, seconds + 10)
        finally:
            _mend(cluster.node, how)
        back = time.monotonic()
        clients.go_on(back + SETTLED_SECONDS)
    ours, bare = clients.ours, clients.bare
    what = f"{how} for {seconds} s"
    answered, bare_answered = seconds_until_answered(ours, back), seconds_until_answered(bare, back)
    figures.at_most(bound, f"{what}, answers after", answered, bare_answered)
    failed, bare_failed = (failed_of(traffic, back + SETTLED_SECONDS) for traffic in (ours, bare))
    figures.at_most(0, f"{what}, of those that came later", len(failed), len(bare_failed), unit="failed")
    product.stop()
    figures.check(failed)
