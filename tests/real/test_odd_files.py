"""Something else in the place of the product's files: it starts, lists and stops, and what was there is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.real.cluster import Cluster
from tests.real.manifests import service
from tests.real.product import Product, assert_fails

FILES = ("supervisor.pid", "supervisor.log", "state.json", "groups", "exposures.json")
SOCKETS = ("control.sock", "helper.sock", "own.sock")
SHARED = ("addresses.json", "addresses.lock", "exposures.lock")


def _nested(path: Path) -> None:
    path.write_text("[" * 100_000)


def _device(path: Path) -> None:
    path.symlink_to("/dev/null")


def _full_directory(path: Path) -> None:
    (path / "full").mkdir(parents=True)


@pytest.mark.parametrize(
    "make", [os.mkfifo, _full_directory, _device, _nested], ids=["pipe", "directory", "device", "nested"]
)
def test_it_works_with_a_stranger_in_every_place(
    make: Callable[[Path], None], cluster: Cluster, namespace: str, product: Product
) -> None:
    cluster.apply(namespace, service("first", {7080: 8080}))
    product.detach("-n", namespace)
    address = product.items()[f"{namespace}/first"]["address"]
    product.stop()
    home = product.sandbox.home / ".kube" / "localize"
    (directory,) = home.glob("*-*/")
    places = [directory / name for name in (*FILES, *SOCKETS)] + [home / name for name in SHARED]
    places += list((home / "cache").iterdir())
    for place in places:
        place.unlink(missing_ok=True)
        make(place)
        os.lchown(place, product.sandbox.uid, product.sandbox.uid) if product.sandbox.real_root else None
    assert product.sandbox.localize("ls").returncode == 0
    assert product.sandbox.localize("logs").returncode in (0, 1)
    product.detach("-n", namespace)
    assert product.items()[f"{namespace}/first"]["address"] == address
    assert product.sandbox.resolve(f"first.{namespace}") == [address]
    assert product.sandbox.localize("ls").stderr == ""
    product.stop()
    if make is not _nested:
        assert {f"{name}.broken" for name in (*FILES, *SOCKETS)} <= set(os.listdir(directory))
    assert product.sandbox.localize("restore").returncode == 0


def test_a_kubeconfig_that_is_a_pipe_is_refused_at_once(product: Product) -> None:
    pipe = product.sandbox.home / "pipe"
    os.mkfifo(pipe)
    product.sandbox.give(pipe)
    for argv in (("-d",), ("stop",), ("restore",), ("expose", "shop/web")):
        done = product.sandbox.localize(*argv, "--kubeconfig", str(pipe))
        assert_fails(done, "is a pipe, which can be read only once", "write it to a file")
    assert product.sandbox.run("kubectl-localize", "__complete", "--kubeconfig", str(pipe), "").returncode == 0
