"""Any of the processes is killed: what is left, and what works again by itself."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product
from tests.real.traffic import Figure

PORT = 7080


@pytest.fixture
def url(cluster: Cluster, namespace: str, product: Product) -> str:
    """Of a Service that is forwarded, with a child that runs."""
    cluster.apply(namespace, deployment("web"), service("web", {PORT: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    url = f"http://web.{namespace}:{PORT}/"
    assert product.fetch_all(url) == cluster.pods(namespace, "web")
    return url


def find(product: Product, *words: str) -> list[int]:
    """The sandbox's processes whose command line has all of the words."""
    return [one.pid for one in product.sandbox.processes() if all(word in one.command for word in words)]


def kill(pid: int) -> None:
    """As the kernel does it when memory is short."""
    os.kill(pid, signal.SIGKILL)


def seconds_until_clean(product: Product, hosts: bytes) -> float:
    """How long it takes until no process of ours and no name is left."""
    began = time.monotonic()
    clean = lambda: not product.sandbox.processes() and product.sandbox.hosts.read_bytes() == hosts  # noqa: E731
    wait_until("end of all processes and names", clean, 10, every_seconds=0.02)
    return time.monotonic() - began


@pytest.mark.core
def test_a_killed_supervisor_leaves_nothing_and_the_next_start_needs_no_help(
    cluster: Cluster, namespace: str, product: Product, url: str, figure: Figure
) -> None:
    before = b"".join(line for line in product.sandbox.hosts.read_bytes().splitlines(True) if b"web" not in line)
    assert len(find(product)) >= 5  # the supervisor, its guard and helper, a watch or two, a child
    address = product.items()[f"{namespace}/web"]["address"]
    kill(product.pid())
    wait_until("end of all processes", lambda: not product.sandbox.processes(), 10, every_seconds=0.02)
    assert b"web" not in product.sandbox.hosts.read_bytes()
    assert before.count(b"mine.example") == product.sandbox.hosts.read_bytes().count(b"mine.example")
    document = product.document()
    assert document["items"] == []
    assert document["supervisors"] == []

    product.detach("-n", namespace)
    assert product.fetch_all(url) == cluster.pods(namespace, "web")
    assert product.items()[f"{namespace}/web"]["address"] == address
    product.stop()


def test_a_killed_supervisor_is_cleaned_up_within_a_second(
    namespace: str, product: Product, figure: Figure, cluster: Cluster
) -> None:
    hosts = product.sandbox.hosts.read_bytes()
    cluster.apply(namespace, deployment("web"), service("web", {PORT: "http", 80: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    product.fetch_all(f"http://web.{namespace}/")
    kill(product.pid())
    seconds = seconds_until_clean(product, hosts)
    figure(f"kill -9 of the supervisor: nothing left after {seconds:.2f} s")
    assert seconds <= 1


def test_children_that_outlived_the_supervisor_and_its_guard_are_ended_by_the_next_command(
    namespace: str, product: Product, url: str
) -> None:
    assert product.fetch_all(url)
    (guard,) = find(product, "kubectl_localize.host.guard")
    os.kill(guard, signal.SIGSTOP)  # so that it does not do its work before it is killed itself
    kill(product.pid())
    kill(guard)
    assert find(product, "proxy --unix-socket")
    assert find(product, "port-forward")
    product.stop()
    assert product.sandbox.processes() == []


def test_a_terminated_supervisor_cleans_up(namespace: str, product: Product, cluster: Cluster) -> None:
    hosts = product.sandbox.hosts.read_bytes()
    cluster.apply(namespace, deployment("web"), service("web", {PORT: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    product.fetch_all(f"http://web.{namespace}:{PORT}/")
    os.kill(product.pid(), signal.SIGTERM)
    seconds_until_clean(product, hosts)
    assert product.document()["items"] == []


@pytest.mark.core
def test_after_a_killed_child_the_next_connection_works(
    cluster: Cluster, namespace: str, product: Product, url: str
) -> None:
    for _ in range(3):
        (child,) = find(product, "port-forward")
        kill(child)
        assert product.fetch_all(url) == cluster.pods(namespace, "web")
        assert find(product, "port-forward") != [child]
    product.wait_item(f"{namespace}/web", "Active", lambda item: item["status"] == "Active", 5)
    product.stop()


@pytest.mark.core
def test_services_are_followed_after_the_transport_was_killed(
    cluster: Cluster, namespace: str, product: Product, url: str
) -> None:
    (transport,) = find(product, "proxy --unix-socket")
    kill(transport)
    cluster.apply(namespace, service("more", {PORT: "http"}, "web"))
    product.wait_item(f"{namespace}/more", "followed", lambda item: len(item["endpoints"]) == 1, 15)
    assert product.fetch_all(url.replace("web", "more")) == cluster.pods(namespace, "web")
    product.stop()


@pytest.mark.sudo
def test_listeners_outlive_the_helper_and_the_next_command_brings_the_names_back(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    cluster.apply(namespace, deployment("web"), service("web", {80: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    product.detach("-n", namespace)
    address = product.items()[f"{namespace}/web"]["address"]
    for helper in find(product, "helper"):
        kill(helper)
    wait_until("hosts: denied", lambda: product.document()["supervisors"][0]["hosts"] == "denied", 10)
    assert product.fetch_all(f"http://{address}/") == cluster.pods(namespace, "web")

    product.detach("-n", namespace)
    assert product.document()["supervisors"][0]["hosts"] == "written"
    assert product.sandbox.resolve(f"web.{namespace}") == [address]
    assert product.fetch_all(f"http://web.{namespace}/") == cluster.pods(namespace, "web")
    product.stop()


def test_names_in_a_file_of_the_users_own_come_back_after_the_helper_has_ended(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    cluster.apply(namespace, service("web", {PORT: "http"}))
    mine = product.sandbox.home / "hosts"
    product.detach("-n", namespace, "--hosts-file", str(mine), "--no-sudo")
    written = mine.read_bytes()
    assert f"web.{namespace}".encode() in written
    (helper,) = find(product, "helper")
    os.kill(helper, signal.SIGTERM)  # it cleans up
    wait_until("no names", lambda: not mine.exists(), 10, every_seconds=0.02)
    wait_until("names again", lambda: mine.exists() and mine.read_bytes() == written, 20)
    assert len(find(product, "helper")) == 1
    # `ls` reads the state file, which follows what happens by up to half a second.
    wait_until("hosts: written", lambda: product.document()["supervisors"][0]["hosts"] == "written", 10)
    product.stop()
    assert not mine.exists()


def test_the_next_command_brings_the_users_own_helper_back_before_it_says_what_is_missing(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    cluster.apply(namespace, service("web", {PORT: "http"}))
    words = ("-n", namespace, "--hosts-file", str(product.sandbox.home / "hosts"), "--no-sudo")
    product.detach(*words)
    (helper,) = find(product, "helper")
    kill(helper)
    wait_until("no helper", lambda: not find(product, "helper"), 5, every_seconds=0.02)
    assert "cannot be written" not in product.detach(*words).stderr
    product.stop()
