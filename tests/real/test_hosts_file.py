"""What is written to the hosts file, what is left alone there, and that it is put back byte for byte."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import service
from tests.real.product import Product, warnings
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop


def _write_hosts(sandbox: Sandbox, content: bytes) -> None:
    sandbox.hosts.write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"127.0.0.1 localhost\n",
        b"127.0.0.1 localhost\n192.0.2.1 last.example",
        b"",
        b"127.0.0.1 localhost\r\n192.0.2.1 windows.example\r\n",
        b"127.0.0.1 localhost\n# \xff not UTF-8\n\n\n",
        b"127.0.0.1 localhost\n0.0.0.0" + b" ads.example" * 100_000,
    ],
    ids=["plain", "no-final-newline", "empty", "windows", "latin-1", "one-long-line"],
)
def test_the_hosts_file_is_put_back_byte_for_byte(
    shop: Shop, sandboxes: Callable[..., Sandbox], content: bytes
) -> None:
    sandbox = sandboxes(tidy=False)
    _write_hosts(sandbox, content)
    before = sandbox.hosts.stat()
    product = Product(sandbox)
    product.detach("-n", shop.namespace, "web")
    assert content in sandbox.hosts.read_bytes()
    assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
    product.stop()
    after = sandbox.hosts.stat()
    assert sandbox.hosts.read_bytes() == content
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(path.name for path in sandbox.etc.glob("*hosts*")) == sorted(_names_of_hosts_files())


def _names_of_hosts_files() -> list[str]:
    """Those that the machine's own /etc has: no lock and no temporary file is to be added."""
    return [path.name for path in Path("/etc").glob("*hosts*")]


def test_what_a_person_writes_meanwhile_stays(shop: Shop, sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(tidy=False)
    product = Product(sandbox)
    before = sandbox.hosts.read_bytes()
    product.detach("-n", shop.namespace, "web")
    sandbox.hosts.write_bytes(b"192.0.2.7 above.example\n" + sandbox.hosts.read_bytes() + b"192.0.2.8 below.example\n")
    product.stop()
    assert sandbox.hosts.read_bytes() == b"192.0.2.7 above.example\n" + before + b"192.0.2.8 below.example\n"


def test_names_that_somebody_else_removes_are_written_again(shop: Shop, product: Product) -> None:
    """As a VPN client does, or cloud-init: with what it had kept from before."""
    sandbox = product.sandbox
    name = f"web.{shop.namespace}"
    before = sandbox.hosts.read_bytes()
    product.detach("-n", shop.namespace, "web")
    addresses = sandbox.resolve(name)
    assert addresses == [product.items()[f"{shop.namespace}/web"]["address"]]
    sandbox.hosts.write_bytes(before)
    assert sandbox.resolve(name) == []
    wait_until("names", lambda: sandbox.resolve(name) == addresses, 30)
    assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
    said = sandbox.localize("logs").stdout
    assert said.count("/etc/hosts had lost our names; they are written again") == 1, said
    product.stop()
    assert sandbox.hosts.read_bytes() == before


@pytest.mark.sudo
def test_a_mounted_hosts_file_is_written_in_place(shop: Shop, sandboxes: Callable[..., Sandbox]) -> None:
    """As in a container: it cannot be replaced by another file."""
    sandbox = sandboxes(tidy=False)
    mounted = sandbox.root / "mounted-hosts"
    mounted.write_bytes(sandbox.hosts.read_bytes())
    before = mounted.read_bytes()
    sandbox.bind(mounted, "/etc/hosts")
    product = Product(sandbox)
    product.detach("-n", shop.namespace, "web")
    assert shop.namespace.encode() in mounted.read_bytes()
    assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
    product.stop()
    assert mounted.read_bytes() == before


def test_addresses_stay_the_same(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace)
    first = {key: (item["address"], item["pods"]) for key, item in product.items().items()}
    hosts = product.sandbox.hosts.read_bytes()
    product.stop()
    product.detach("-n", shop.namespace)
    assert {key: (item["address"], item["pods"]) for key, item in product.items().items()} == first
    assert product.sandbox.hosts.read_bytes() == hosts
    product.stop()
    # A narrower selection does not move anybody either.
    product.detach("-n", shop.namespace, "web")
    assert product.items()[f"{shop.namespace}/web"]["address"] == first[f"{shop.namespace}/web"][0]
    product.stop()
    used = [address for address, _ in first.values() if address]
    assert len(set(used)) == len(used)
    assert all(address.startswith("127.") and 64 <= int(address.split(".")[1]) < 128 for address in used)


def test_another_file_takes_the_names_when_it_is_named(shop: Shop, product: Product) -> None:
    sandbox = product.sandbox
    before = sandbox.hosts.read_bytes()
    mine = sandbox.home / "hosts"
    mine.write_text("192.0.2.1 mine.example")
    sandbox.give(mine)
    product.detach("-n", shop.namespace, "web", "--hosts-file", str(mine))
    item = product.items()[f"{shop.namespace}/web"]
    (line,) = (line for line in mine.read_text().splitlines() if line.startswith(item["address"]))
    full = f"web.{shop.namespace}.svc.cluster.local"
    assert line.split()[1:] == [*item["hostnames"], f"{full}."]
    assert sandbox.hosts.read_bytes() == before
    assert sandbox.resolve(f"web.{shop.namespace}") == []
    assert product.fetch_all(f"http://{item['address']}:7080/")[0].startswith("web-")
    product.stop()
    assert mine.read_text() == "192.0.2.1 mine.example"


def test_names_are_left_alone_when_that_is_wanted(shop: Shop, product: Product) -> None:
    before = product.sandbox.hosts.read_bytes()
    done = product.detach("-n", shop.namespace, "web", "--no-hosts")
    assert warnings(done) == []
    assert "sudo" not in done.stderr
    (supervisor,) = product.document()["supervisors"]
    assert supervisor["hosts"] == "off"
    item = product.items()[f"{shop.namespace}/web"]
    assert item["hostnames"] == []
    assert product.fetch_all(f"http://{item['address']}:7080/")[0].startswith("web-")
    assert product.sandbox.hosts.read_bytes() == before
    product.stop()


def test_names_that_somebody_has_are_left_alone(shop: Shop, sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(tidy=False)
    taken = f"192.0.2.1 web.{shop.namespace} balanced\n"
    _write_hosts(sandbox, sandbox.hosts.read_bytes() + taken.encode())
    before = sandbox.hosts.read_bytes()
    sandbox.kubectl("config", "set-context", "--current", f"--namespace={shop.namespace}")
    product = Product(sandbox)
    done = product.detach("-n", shop.namespace)
    assert ["2 names are left alone" in line for line in warnings(done)] == [True], done.stderr
    assert sandbox.resolve(f"web.{shop.namespace}") == ["192.0.2.1"]
    assert sandbox.resolve("balanced") == ["192.0.2.1"]
    items = product.items()
    for name in ("web", f"web.{shop.namespace}.svc", f"web.{shop.namespace}.svc.cluster.local"):
        assert sandbox.resolve(name) == [items[f"{shop.namespace}/web"]["address"]]
    assert f"web.{shop.namespace}" not in items[f"{shop.namespace}/web"]["hostnames"]
    assert "2 names are left alone" in sandbox.localize("ls").stderr
    product.stop()
    assert sandbox.hosts.read_bytes() == before


def test_the_machines_own_names_are_left_alone(cluster: Cluster, namespace: str, product: Product) -> None:
    host = os.uname().nodename.partition(".")[0].lower()
    cluster.apply(namespace, service(host, {7080: 8080}))
    done = product.detach("-n", namespace)
    assert any(host in line and "this machine" in line for line in warnings(done)), done.stderr
    assert host not in product.items()[f"{namespace}/{host}"]["hostnames"]
    assert f"{host}.{namespace}" in product.items()[f"{namespace}/{host}"]["hostnames"]
    product.stop()


def test_it_is_one_block_with_one_line_for_each_address(shop: Shop, laptop: Product) -> None:
    text = laptop.sandbox.hosts.read_text()
    items = laptop.items().values()
    addresses = [item["address"] for item in items if item["address"]]
    addresses += [pod["address"] for item in items for pod in item["pods"]]
    lines = [line for line in text.splitlines() if line.split()[:1] and line.split()[0] in addresses]
    assert sorted(line.split()[0] for line in lines) == sorted(addresses)
    assert all(len(line) < 500 for line in text.splitlines())
    assert "\n127.0.0.1 mine.example\n" in text
