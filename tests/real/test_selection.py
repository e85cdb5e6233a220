"""Which Services are forwarded, and the flags that say where and for how long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.product import Product, warnings
from tests.real.shop import ADMIN, Shop


def _port_forwards(product: Product) -> int:
    return sum("port-forward" in process.command for process in product.sandbox.processes())


def test_all_namespaces_but_the_systems(cluster: Cluster, shop: Shop, product: Product) -> None:
    product.detach("--no-sudo", "--no-hosts")
    found = product.items()
    assert {f"{shop.namespace}/web", f"{shop.other}/lone", "default/kubernetes"} <= found.keys()
    assert not [key for key in found if key.startswith("kube-system/")]
    product.stop()

    product.detach("-A", "--no-sudo", "--no-hosts")
    system = cluster.get("services", "--namespace=kube-system")["items"]
    assert {f"kube-system/{service['metadata']['name']}" for service in system} <= product.items().keys()
    product.stop()


def test_words_globs_and_exclusions(shop: Shop, product: Product) -> None:
    one, other = shop.namespace, shop.other
    # The context's namespace is `default`, where there is no such Service.
    assert product.sandbox.localize("-d", "web", "--no-hosts").returncode == 1
    for argv, expected in (
        ([f"{one}/web", f"{other}/l*"], {f"{one}/web", f"{other}/lone"}),
        (["-n", one, "-n", other, "web"], {f"{one}/web", f"{other}/web"}),
        (["t-*/web", "--skip-namespace", one, "-n", one, "-n", other], {f"{other}/web"}),
        (["-n", other, "--exclude", "lone"], {f"{other}/web"}),
        (["-n", one, "-n", other, "--exclude", f"{one}/*"], {f"{other}/web", f"{other}/lone"}),
    ):
        product.detach("--no-hosts", *argv)
        assert set(product.items()) == expected, argv
        product.stop()


def test_addresses_and_names_of_ones_own_choice(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.other, "--ip-range", "127.33.0.0/16", "--cluster-domain", "corp.internal")
    item = product.items()[f"{shop.other}/web"]
    assert item["address"].startswith("127.33.")
    assert f"web.{shop.other}.svc.corp.internal" in item["hostnames"]
    assert product.sandbox.resolve(f"web.{shop.other}.svc.corp.internal") == [item["address"]]
    assert product.sandbox.resolve(f"web.{shop.other}.svc.cluster.local") == []
    assert product.fetch_all(f"http://web.{shop.other}:7080/")[0].startswith("web-")
    product.stop()


def test_simultaneous_first_connections_share_one_child(shop: Shop, product: Product) -> None:
    """The Service has one pod, so there is one child, however many come at once."""
    product.detach("-n", shop.other, "web")
    assert product.items()[f"{shop.other}/web"]["status"] == "Idle"
    assert _port_forwards(product) == 0, "no child before somebody connects"
    answers = product.fetch_all(*[f"http://web.{shop.other}:7080/slow?s=0.2"] * 20, at_once=20)
    assert len(set(answers)) == 1
    assert _port_forwards(product) == 1
    product.stop()


def test_an_idle_child_ends_and_the_next_connection_starts_another(shop: Shop, product: Product) -> None:
    url = f"http://web.{shop.other}:7080/"
    product.detach("-n", shop.other, "web", "--idle-timeout", "1s")
    for _ in range(2):
        assert product.fetch_all(url)[0].startswith("web-")
        wait_until("end of the idle child", lambda: _port_forwards(product) == 0, 10)
        product.wait_item(f"{shop.other}/web", "idle", lambda item: item["status"] == "Idle")
    product.stop()


def test_there_are_no_more_children_than_wanted(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web", "db", "mixed", "--max-children", "2")
    urls = [shop.url("web", 7080), shop.url("web", 7081), shop.url("db", 17432), shop.url("mixed", 7080)]
    for url in urls:
        assert "Error" not in product.fetch_all(url)[0]
        wait_until("end of the longest idle child", lambda: _port_forwards(product) <= 2, 10)
    product.stop()


def test_one_more_child_than_wanted_starts_where_all_are_busy(shop: Shop, product: Product) -> None:
    """A hard limit would make clients that hold one connection and need another wait for ever."""
    product.detach("-n", shop.namespace, "web", "--max-children", "1")
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(product.fetch_all, shop.url("web", 7080, "/slow?s=5"))
        product.wait_item(f"{shop.namespace}/web", "in use", lambda item: item["ports"][0]["connections"] == 1)
        assert product.fetch_all(shop.url("web", 7081, "/port")) == [str(ADMIN)]
        assert holding.result()[0].startswith("web-")
    assert "all 1 children (--max-children) are busy" in product.sandbox.localize("logs").stdout
    product.stop()


def test_nothing_is_asked_of_sudo_when_nothing_is_needed(shop: Shop, product: Product) -> None:
    done = product.detach("-n", shop.namespace, "--no-hosts")
    assert "sudo" not in done.stderr
    assert warnings(done) == []
    product.stop()
