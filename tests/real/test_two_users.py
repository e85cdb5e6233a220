"""Two people on one machine who use the same cluster: one hosts file, and listeners that serve their own user only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.cluster.commands import wait_until
from tests.real.product import Product, warnings
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop
from tests.real.traffic import Figure

pytestmark = pytest.mark.sudo  # to have two users

SECONDS = 5.0  # 3 are promised; a busy machine takes longer to look


def _share(first: Sandbox, second: Sandbox) -> None:
    """Let both users see the first one's /etc, and both be known there; they also call their contexts alike."""
    for name in ("passwd", "group", "shadow"):
        (line,) = (line for line in (second.etc / name).read_text().splitlines() if line.startswith(f"{second.user}:"))
        with open(first.etc / name, "a") as file:
            file.write(f"{line}\n")
    sudoers = first.etc / "sudoers"
    os.chmod(sudoers, 0o640)
    with open(sudoers, "a") as rules:
        rules.write(f"{second.user} ALL=(ALL:ALL) NOPASSWD: ALL\n")
    os.chmod(sudoers, 0o440)
    second.bind(first.etc, "/etc")
    for sandbox in (first, second):
        current = sandbox.kubectl("config", "current-context").strip()
        sandbox.kubectl("config", "rename-context", current, f"lab-{first.uid}")


def test_each_has_names_that_work_and_the_second_has_all_when_the_first_stops(
    shop: Shop, sandboxes: Callable[..., Sandbox], figure: Figure
) -> None:
    first, second = sandboxes(), sandboxes()
    _share(first, second)
    alice, bob = Product(first), Product(second)
    name = f"web.{shop.namespace}"
    alice.detach("-n", shop.namespace, "web", "db")
    done = bob.detach("-n", shop.namespace, "web", "db")
    assert len(warnings(done)) == 1, done.stderr
    (warning,) = warnings(done)
    own_end = f"lab-{first.uid}-{second.user}"
    assert f"user {first.user} has them; those that end in .{own_end} are yours" in warning
    assert alice.fetch_all(f"http://{name}:7080/")[0].startswith("web-")
    assert bob.fetch_all(f"http://{name}.{own_end}:7080/")[0].startswith("web-")
    assert bob.fetch_all(f"http://db-0.db.{shop.namespace}.{own_end}:17432/") == ["db-0"]
    assert bob.items()[f"{shop.namespace}/web"]["hostnames"] == [f"{name}.{own_end}"]

    address = bob.items()[f"{shop.namespace}/web"]["address"]
    alice.stop()
    began = time.monotonic()
    wait_until("bob's names", lambda: second.resolve(name) == [address], 20, every_seconds=0.05)
    took = time.monotonic() - began
    text = figure(f"names of the second user {took:.1f} s after the first has stopped")
    assert took < SECONDS, text
    assert bob.fetch_all(f"http://{name}:7080/", f"http://{name}.{own_end}:7080/")[0].startswith("web-")
    assert "left alone" not in second.localize("ls").stderr

    again = alice.detach("-n", shop.namespace, "web", "db")
    assert f"user {second.user} has them" in warnings(again)[0]
    alice.stop()
    bob.stop()
