"""A hosts file of 170,000 lines, as ad blockers write it: a start takes no longer for it, and no request waits."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import service
from tests.real.product import Product
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop
from tests.real.traffic import Figure, Traffic

LINES = 170_000
START_SECONDS = 5.0
WAIT_SECONDS = 2.0
SERVICES_THAT_COME = 20


def _blocked() -> bytes:
    return "".join(f"0.0.0.0 ads-{number}.tracker-{number % 977}.example\n" for number in range(LINES)).encode()


def test_a_start_is_quick_and_no_request_waits_while_services_come(
    cluster: Cluster, shop: Shop, namespace: str, sandboxes: Callable[..., Sandbox], figure: Figure
) -> None:
    sandbox = sandboxes(tidy=False)
    before = sandbox.hosts.read_bytes() + _blocked()
    sandbox.hosts.write_bytes(before)
    product = Product(sandbox)
    began = time.monotonic()
    product.detach("-n", shop.namespace, "-n", namespace)
    took = time.monotonic() - began
    address = product.items()[f"{shop.namespace}/web"]["address"]
    with Traffic(sandbox, address, 7080) as traffic:
        for number in range(SERVICES_THAT_COME):
            cluster.apply(namespace, service(f"late-{number}", {7080: "http"}))
        last = f"late-{SERVICES_THAT_COME - 1}.{namespace}"
        wait_until("names", lambda: last.encode() in sandbox.hosts.read_bytes(), 30)
        sandbox.hosts.write_bytes(before)  # the ad blocker brings its list up to date
        wait_until("names again", lambda: last.encode() in sandbox.hosts.read_bytes(), 30)
    longest = max(attempt.ended - attempt.began for attempt in traffic.attempts)
    text = figure(f"hosts file of {LINES} lines: start {took:.1f} s, the longest request {longest:.2f} s")
    assert not traffic.failed, traffic.failed[:3]
    assert took < START_SECONDS, text
    assert longest < WAIT_SECONDS, text
    product.stop()
    assert sandbox.hosts.read_bytes() == before
