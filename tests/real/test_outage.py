"""The link to the cluster goes silent: no packet comes through, and nothing says so."""

from __future__ import annotations

import time

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product
from tests.real.traffic import Figure, Traffic

PORT = 7080
PATIENCE_SECONDS = 33.0  # a bit longer than a new connection is held
AT_MOST_SECONDS = 5.0  # on a machine that does other things, too; the aim is 1 s after 20 s, and 3 s after 60 s


@pytest.mark.node
@pytest.mark.alone
@pytest.mark.parametrize(("silent_seconds", "aim_seconds"), [(20, 1), (60, 3)])
def test_connections_are_answered_soon_after_a_silence(
    silent_seconds: float, aim_seconds: float, cluster: Cluster, namespace: str, product: Product, figure: Figure
) -> None:
    cluster.apply(namespace, deployment("web", replicas=2), service("web", {PORT: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    with Traffic(product.sandbox, f"web.{namespace}", PORT, patience_seconds=PATIENCE_SECONDS) as traffic:
        traffic.more(20)
        cluster.node.sever()
        began = time.monotonic()
        try:
            wait_until("silence", lambda: time.monotonic() - began >= silent_seconds, silent_seconds + 10)
            item = product.items()[f"{namespace}/web"]
        finally:
            cluster.node.mend()
        mended = time.monotonic()
        traffic.more(60)
        cluster.apply(namespace, service("more", {PORT: "http"}, "web"))
        product.wait_item(f"{namespace}/more", "followed again", lambda found: len(found["endpoints"]) == 2)
    first = traffic.first_answer_after(mended)
    figure(f"after {silent_seconds} s of silence: answers again after {first:.2f} s (the aim: {aim_seconds} s)")
    assert item["status"] == "Waiting"
    assert first <= AT_MOST_SECONDS
    assert not [attempt for attempt in traffic.failed if attempt.began > mended + AT_MOST_SECONDS]
    # Those that were held while the link was silent get their answer, too, unless their time was up before.
    held = [one for one in traffic.attempts if mended - 20 < one.began < mended and one.began > began + 5]
    assert held
    assert not [attempt for attempt in held if attempt.error]
    product.stop()
