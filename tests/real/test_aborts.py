"""Clients that go away in the middle of a download, which kubectl up to 1.31 does not survive."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.real.bare import bare_forward
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Item, Product
from tests.real.traffic import COUNTED_PER_SECOND, Figure, Traffic

PORT = 7080
GOOD_BYTES = 100_000

# Clients ask for 50 MB each, read one of them, and go: half with a close, half with a reset.
ABORT = r"""
import socket, struct, sys
from concurrent.futures import ThreadPoolExecutor
def abort(number):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 30) as connection:
        connection.settimeout(float(sys.argv[4]))
        connection.sendall(b"GET /bytes?n=50000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        left = 1000000
        try:
            while left > 0 and (block := connection.recv(65536)): left -= len(block)
        except OSError: pass
        if number % 2: connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return left <= 0
with ThreadPoolExecutor(20) as pool: print(sum(pool.map(abort, range(int(sys.argv[3])))))
"""


def start(cluster: Cluster, namespace: str, product: Product, path: dict[str, str]) -> None:
    """One pod of `web`, forwarded with the kubectl of a PATH."""
    cluster.apply(namespace, deployment("web"), service("web", {PORT: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    done = product.sandbox.localize("-d", "-n", namespace, env=path)
    assert done.returncode == 0, done.stderr


def assert_undisturbed(product: Product, namespace: str, figure: Figure, what: str) -> None:
    """100 clients abort, and a well-behaved one has each of its answers whole, by the same child."""
    with Traffic(product.sandbox, f"web.{namespace}", PORT, f"/bytes?n={GOOD_BYTES}") as traffic:
        before = product.wait_item(f"{namespace}/web", "with a child", lambda item: bool(children(item)))
        slow = product.sandbox.spawn("/usr/bin/python3", "-c", SLOW, f"http://web.{namespace}:{PORT}/drip?n=40")
        half_way = int(product.sandbox.python(ABORT, f"web.{namespace}", str(PORT), "100", "30"))
        traffic.more(40)
        assert slow.communicate(timeout=60)[0].strip() == "40"
        after = product.items()[f"{namespace}/web"]
    text = figure(traffic.summary(f"100 clients abort, {what}"))
    assert half_way == 100
    assert not traffic.failed, f"{text}\n{traffic.failed[:5]}"
    assert traffic.per_second >= COUNTED_PER_SECOND, text
    assert {attempt.body for attempt in traffic.answered} == {"x" * GOOD_BYTES}
    assert children(after) == children(before)


SLOW = "import sys, urllib.request as u; print(len(u.build_opener(u.ProxyHandler({})).open(sys.argv[1]).read()))"


def children(item: Item) -> list[int]:
    """The processes behind a Service's port."""
    return [child["pid"] for child in item["ports"][0]["children"]]


@pytest.mark.core
def test_aborted_downloads_disturb_no_other_connection(
    cluster: Cluster, namespace: str, product: Product, figure: Figure
) -> None:
    start(cluster, namespace, product, {})
    assert_undisturbed(product, namespace, figure, "this machine's kubectl")
    product.stop()


def test_aborted_downloads_disturb_none_with_an_old_kubectl_that_wedges_by_itself(
    cluster: Cluster, namespace: str, product: Product, figure: Figure, old_kubectl: Path
) -> None:
    sandbox = product.sandbox
    path = {"PATH": f"{old_kubectl}:{sandbox.env['PATH']}"}
    start(cluster, namespace, product, path)
    with bare_forward(sandbox, namespace, PORT, env=path) as forward:
        url = f"http://127.0.0.1:{forward.port}/"
        assert product.fetch_all(url) == cluster.pods(namespace, "web")
        sandbox.python(ABORT, "127.0.0.1", str(forward.port), "20", "3")
        assert product.fetch_all(url, timeout=5) != cluster.pods(namespace, "web"), "the bare one did not wedge"
    assert_undisturbed(product, namespace, figure, "kubectl 1.31")
    (child,) = children(product.items()[f"{namespace}/web"])
    assert os.readlink(f"/proc/{child}/exe") == str((old_kubectl / "kubectl").resolve())
    product.stop()
