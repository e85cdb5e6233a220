"""`~/.kube` shared between a host and a dev container: each works by itself, or it is said where things are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.real.cluster import Cluster
from tests.real.container import open_container
from tests.real.product import Product, warnings
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop

pytestmark = pytest.mark.sudo  # to make a container


def test_host_and_container_forward_beside_each_other(
    cluster: Cluster, shop: Shop, sandboxes: Callable[..., Sandbox]
) -> None:
    laptop = sandboxes()
    url, pods = f"http://web.{shop.namespace}:7080/", cluster.pods(shop.namespace, "web")
    with open_container(laptop, network=True) as container:
        host, inner = Product(laptop), Product(container)
        host.detach("-n", shop.namespace, "web")
        done = inner.detach("-n", shop.namespace, "web", "db")
        assert warnings(done) == []
        assert inner.fetch_all(url)[0] in pods
        assert host.fetch_all(url)[0] in pods
        assert sorted(inner.items()) == [f"{shop.namespace}/db", f"{shop.namespace}/web"]
        assert sorted(host.items()) == [f"{shop.namespace}/web"]
        assert inner.pid() != host.pid()
        host.stop()
        assert inner.fetch_all(url)[0] in pods
        assert len(inner.items()) == 2, "it keeps its own directory"
        host.detach("-n", shop.namespace, "web")
        inner.stop()
        assert host.fetch_all(url)[0] in pods
        host.stop()


def test_another_hosts_file_with_the_same_network_is_said(shop: Shop, sandboxes: Callable[..., Sandbox]) -> None:
    laptop = sandboxes()
    with open_container(laptop, network=False) as container:
        host, inner = Product(laptop), Product(container)
        assert warnings(host.detach("-n", shop.namespace, "web")) == []
        (warning,) = warnings(inner.detach("-n", shop.namespace, "web"))
        assert warning.startswith("names do not resolve here: the supervisor writes them to another /etc/hosts")
        inner.stop()
        assert warnings(inner.detach("-n", shop.namespace, "web")) == []
        assert inner.fetch_all(f"http://web.{shop.namespace}:7080/")[0].startswith("web-")
        inner.stop()
