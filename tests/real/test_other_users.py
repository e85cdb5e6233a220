"""A listener serves its own user and root; others of this machine only where that is wanted."""

from __future__ import annotations

import subprocess

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product, knock_as, warnings
from tests.real.shop import Shop

pytestmark = pytest.mark.sudo  # to become another user, and root

STRANGER = 63999  # below the users that sandboxes have


def test_another_user_is_refused_and_root_is_served(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web", "db")
    items = product.items()
    address = items[f"{shop.namespace}/web"]["address"]
    assert knock_as(STRANGER, address, 7080) == "ConnectionResetError"
    assert product.knock(address, 7080) == "answered"
    assert knock_as(0, address, 7080) == "answered"
    (pod, _) = items[f"{shop.namespace}/db"]["pods"]
    assert knock_as(STRANGER, pod["address"], 17432) == "ConnectionResetError"
    assert knock_as(STRANGER, "127.0.0.1", 7080) == "ConnectionRefusedError", "only the Service's own address listens"
    assert "belongs to another user" in product.sandbox.localize("logs").stdout
    product.stop()


def test_others_are_served_where_that_is_wanted(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web", "--allow-other-users")
    address = product.items()[f"{shop.namespace}/web"]["address"]
    assert knock_as(STRANGER, address, 7080) == "answered"
    assert product.knock(address, 7080) == "answered"
    product.stop()


def test_what_belongs_to_the_supervisor_is_closed_to_others(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web")
    root = product.sandbox.home / ".kube" / "localize"
    (run,) = root.glob("*-*/")
    assert [path.stat().st_mode & 0o777 for path in (root, run)] == [0o700, 0o700]
    for file in run.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
        assert file.stat().st_uid == product.sandbox.uid
    product.stop()


def test_no_name_leads_to_another_users_program(cluster: Cluster, namespace: str, product: Product) -> None:
    """The addresses are in the hosts file for all to read, and anybody may bind them while nothing runs."""
    cluster.apply(namespace, deployment("web"), service("web", {7080: "http"}), service("api", {7081: "http"}, "web"))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    address = product.items()[f"{namespace}/web"]["address"]
    product.stop()
    trap = [
        "setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--", "/usr/bin/python3", "-m",
        "http.server", "--bind", address, "7080",
    ]  # fmt: skip
    with subprocess.Popen(trap, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as stranger:
        try:
            wait_until("the trap", lambda: product.knock(address, 7080) == "answered", 10)
            done = product.detach("-n", namespace)
            (warning,) = warnings(done)
            assert f"{namespace}/web: user {STRANGER} has {address}:7080, so its names stay out of the hosts" in warning
            assert product.sandbox.resolve(f"web.{namespace}") == []
            assert product.fetch_all(f"http://api.{namespace}:7081/") == cluster.pods(namespace, "web")
        finally:
            stranger.kill()
    wait_until("the name", lambda: product.sandbox.resolve(f"web.{namespace}") == [address], 15)
    assert product.fetch_all(f"http://web.{namespace}:7080/") == cluster.pods(namespace, "web")
    product.stop()
