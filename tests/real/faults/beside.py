"""Two outside clients at once: one of the product, one of a bare port-forward to the same Service."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.cluster.commands import wait_until
from tests.real.bare import Bare, bare_forward
from tests.real.cluster import Cluster
from tests.real.faults.figures import NEVER
from tests.real.manifests import deployment, service
from tests.real.product import Product
from tests.real.traffic import Attempt, Traffic

PORT = 7080


@dataclass(frozen=True)
class Both:
    """The clients while they run, and the bare port-forward."""

    ours: Traffic
    bare: Traffic
    forward: Bare

    def go_on(self, moment: float, seconds: float = 60) -> None:
        """Return when the product has answered 40 more that began after a moment; a bare one may never."""

        def are_answered() -> bool:
            return sum(attempt.began > moment for attempt in self.ours.answered) >= 40

        wait_until("40 more answers", are_answered, seconds)


def start(cluster: Cluster, namespace: str, product: Product, replicas: int = 2, pre_stop_seconds: float = 0) -> None:
    """Forward `web`, all of whose pods are Ready."""
    workload = deployment("web", replicas, pre_stop_seconds=pre_stop_seconds)
    cluster.apply(namespace, workload, service("web", {PORT: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    product.wait_item(f"{namespace}/web", "with all pods", lambda item: len(item["endpoints"]) == replicas)


@contextlib.contextmanager
def both(product: Product, namespace: str) -> Iterator[Both]:
    """Send to `web` both ways until the end of the block; then each attempt has ended."""
    sandbox = product.sandbox
    with (
        bare_forward(sandbox, namespace, PORT) as forward,
        Traffic(sandbox, f"web.{namespace}", PORT) as ours,
        Traffic(sandbox, "127.0.0.1", forward.port) as bare,
    ):
        ours.more(20)
        yield Both(ours, bare, forward)


def seconds_until_answered(traffic: Traffic, moment: float) -> float:
    """From a moment to the first answer after it, or NEVER."""
    return min((attempt.ended - moment for attempt in traffic.answered if attempt.ended > moment), default=NEVER)


def failed_of(traffic: Traffic, since: float, until: float = NEVER) -> list[Attempt]:
    """The failed ones of the attempts that began between two moments."""
    return [attempt for attempt in traffic.failed if since <= attempt.began <= until]
