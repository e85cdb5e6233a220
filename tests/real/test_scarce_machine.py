"""A machine that has run out of something: one sentence each, what works goes on, and everything can be stopped."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Done, Product, assert_fails, warnings
from tests.real.sandbox import Sandbox

PORTS: dict[int, int | str] = {7080 + number: "http" for number in range(5)}


def _small_disk(sandbox: Sandbox, path: Path, kilobytes: int) -> None:
    """Mount a disk of this size at a directory of the user's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = f"uid={sandbox.uid},gid={sandbox.uid}" if sandbox.real_root else "uid=0,gid=0"
    sandbox.mount("-t", "tmpfs", "-o", f"size={kilobytes}k,{owner},mode=700", "tmpfs", str(path))


def _fill(sandbox: Sandbox, path: Path) -> None:
    """Leave no room on it."""
    sandbox.run("sh", "-c", f"cat /dev/zero >{path}/filler")


def _limited(sandbox: Sandbox, limit: int, *argv: str) -> Done:
    """Run a command that may have so many open files."""
    return sandbox.run("sh", "-c", f'ulimit -n {limit}; exec kubectl localize "$@"', "sh", *argv)


@pytest.mark.sudo  # a disk of the user's
def test_a_disk_that_is_full(cluster: Cluster, namespace: str, product: Product) -> None:
    cluster.apply(namespace, deployment("web"), service("web", {7080: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    sandbox = product.sandbox
    home, names = sandbox.home / ".kube" / "localize", sandbox.home / "names"
    sandbox.give(sandbox.home / ".kube")
    _small_disk(sandbox, home, 300)
    _small_disk(sandbox, names, 64)
    hosts = names / "hosts"
    sandbox.run("sh", "-c", f"echo 127.0.0.1 mine >{hosts}")

    _fill(sandbox, home)
    for argv in (("-d",), ("expose", f"{namespace}/web"), ("restore",)):
        assert_fails(sandbox.localize(*argv), r"cannot write to .*: No space left on device", r"`df` tells")
    sandbox.run("rm", f"{home}/filler")

    product.detach("-n", namespace, "--hosts-file", str(hosts))
    address = product.items()[f"{namespace}/web"]["address"]
    assert f"web.{namespace}" in sandbox.run("cat", str(hosts)).stdout
    _fill(sandbox, home)
    _fill(sandbox, names)
    cluster.apply(namespace, service("second", {7080: "http"}, "web"))
    wait_until("a warning of `ls`", lambda: "is out of date" in sandbox.localize("ls").stderr, 10)
    assert product.fetch_all(f"http://{address}:7080/") == cluster.pods(namespace, "web")
    product.stop()
    assert sandbox.run("cat", str(hosts)).stdout == "127.0.0.1 mine\n"
    assert "nothing is running" in sandbox.localize("ls").stderr


def test_few_descriptors(cluster: Cluster, namespace: str, product: Product) -> None:
    services = [service(f"web{number}", PORTS, "web") for number in range(12)]
    cluster.apply(namespace, deployment("web"), *services)
    cluster.wait_ready(namespace, "deployment/web")
    done = _limited(product.sandbox, 64, "-d", "-n", namespace)
    assert done.returncode == 0
    (warning,) = warnings(done)
    assert re.search(
        r"\d+ ports, such as one of \S+: too many open files, a process may have 64 \(`ulimit -n`", warning
    )
    forwarded = re.search(r"(\d+) Services? of context .* \((\d+) more cannot listen here\)", done.stderr)
    assert forwarded is not None
    assert int(forwarded[1]) + int(forwarded[2]) == len(services)
    working = [item for item in product.items().values() if item["status"] == "Idle"]
    assert working
    url = f"http://{working[0]['address']}:{working[0]['ports'][0]['localPort']}/"
    assert product.fetch_all(*[url] * 4) == cluster.pods(namespace, "web") * 4
    assert "too many open files" in product.sandbox.localize("ls").stderr
    product.stop()


def test_far_too_few_descriptors(product: Product) -> None:
    for limit in (16, 32):
        done = _limited(product.sandbox, limit, "-d")
        assert_fails(done, f"a process may have only {limit} open files here", "ulimit -n 1024")


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>&1"])
def test_it_starts_and_stops_without_some_streams(
    streams: str, cluster: Cluster, namespace: str, sandboxes: Callable[..., Sandbox]
) -> None:
    cluster.apply(namespace, service("first", {7080: 8080}))
    product = Product(sandboxes())
    done = product.sandbox.run("sh", "-c", f"exec kubectl localize -d -n {namespace} {streams}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    address = product.items()[f"{namespace}/first"]["address"]
    assert product.sandbox.resolve(f"first.{namespace}") == [address]
    done = product.sandbox.run("sh", "-c", f"exec kubectl localize stop {streams}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert product.items() == {}
