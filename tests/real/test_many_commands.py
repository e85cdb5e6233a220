"""Several commands and one supervisor: who holds it, who joins it, and what ends it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.commands import wait_until
from tests.real.product import Product, assert_fails
from tests.real.shop import Shop


@contextmanager
def foreground(product: Product, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """`kubectl localize` without a terminal, from the moment at which it has shown its table."""
    process = product.sandbox.spawn("kubectl", "localize", *argv)
    assert process.stdout is not None
    with process.stdout:
        try:
            said = ""
            while "Ctrl-C ends it" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def _command(process: subprocess.Popen[str], product: Product) -> int:
    """The pid of the command itself: what is between us and it execs, so it is the same."""
    assert any(found.pid == process.pid and "localize" in found.command for found in product.sandbox.processes())
    return process.pid


def test_the_same_again_is_a_success_that_changes_nothing(shop: Shop, product: Product) -> None:
    first = product.detach("-n", shop.namespace)
    assert re.search(r"\d+ Services of context \S+ forwarded \(\d+ more cannot be forwarded\)", first.stderr)
    before = product.document()
    hosts = product.sandbox.hosts.read_bytes()
    product.detach("-n", shop.namespace)
    assert product.document() == before
    assert product.sandbox.hosts.read_bytes() == hosts
    assert "stopped" in product.stop().stderr
    assert product.document()["supervisors"] == []


def test_two_starts_at_the_same_moment_share_a_supervisor(shop: Shop, product: Product) -> None:
    starts = [product.sandbox.spawn("kubectl", "localize", "-d", "-n", shop.namespace) for _ in range(4)]
    said = [start.communicate(timeout=60)[0] for start in starts]
    assert [start.returncode for start in starts] == [0] * 4, said
    assert len(product.document()["supervisors"]) == 1
    product.stop()


def test_the_foregrounds_end_leaves_what_another_holds(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web")
    pid = product.pid()
    with foreground(product, "-n", shop.namespace, "web") as command:
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == 0
    assert product.pid() == pid
    assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")

    # The other way round: a second foreground, then `stop`, which ends both.
    with foreground(product, "-n", shop.namespace, "web") as command:
        product.stop()
        assert command.wait(20) == 0
        assert command.stdout is not None
        assert "the supervisor was stopped" in command.stdout.read()


def test_two_foregrounds_hold_it_until_the_last_one_ends(shop: Shop, product: Product) -> None:
    words = ("-n", shop.namespace, "web")
    with foreground(product, *words) as one, foreground(product, *words) as other:
        one.send_signal(signal.SIGINT)
        assert one.wait(20) == 0
        assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
        other.send_signal(signal.SIGINT)
        assert other.wait(20) == 0
    assert product.sandbox.processes() == []


def test_a_foreground_turned_into_a_detached_one_stays(shop: Shop, product: Product) -> None:
    with foreground(product, "-n", shop.namespace, "web") as command:
        product.detach("-n", shop.namespace, "web")
        command.send_signal(signal.SIGINT)
        assert command.wait(20) == 0
    assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
    product.stop()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_however_the_foreground_ends_the_supervisor_ends_too(shop: Shop, product: Product, how: signal.Signals) -> None:
    hosts = product.sandbox.hosts.read_bytes()
    with foreground(product, "-n", shop.namespace, "web") as command:
        os.kill(_command(command, product), how)
        command.wait(20)
    wait_until("end of everything", lambda: product.sandbox.processes() == [], 10)
    assert product.sandbox.hosts.read_bytes() == hosts
    assert product.document() == {"apiVersion": "localize/v1", "kind": "List", "supervisors": [], "items": []}


def test_selections_add_up_and_each_end_takes_away_what_nobody_else_holds(shop: Shop, product: Product) -> None:
    first, second = f"{shop.namespace}/web", f"{shop.other}/lone"
    with foreground(product, first) as one, foreground(product, "-n", shop.other) as other:
        assert set(product.items()) == {first, second, f"{shop.other}/web"}
        assert product.fetch_all(shop.url("web", 7080), f"http://lone.{shop.other}:7080/")[0].startswith("web-")
        one.send_signal(signal.SIGINT)
        assert one.wait(20) == 0
        assert set(product.items()) == {second, f"{shop.other}/web"}
        assert product.sandbox.resolve(f"web.{shop.namespace}") == []
        assert product.sandbox.resolve(f"web.{shop.other}") != []

        # `stop SERVICE` ends that one, whoever holds it; its last one ends the command.
        product.stop(second)
        assert set(product.items()) == {f"{shop.other}/web"}
        product.stop("-n", shop.other)
        assert other.wait(20) == 0
        assert other.stdout is not None
        assert "another command has stopped what this one forwarded" in other.stdout.read()
    assert product.sandbox.processes() == []


def test_only_what_cannot_be_shared_is_an_error(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web")
    product.detach("-n", shop.other, "web", "--wait-timeout", "1s", "--max-children", "3")
    done = product.sandbox.localize("-d", "-n", shop.other, "--ip-range", "127.99.0.0/16")
    assert_fails(done, f"pid {product.pid()} with --ip-range 127.64.0.0/10; --ip-range 127.99.0.0/16 cannot", "stop")
    assert set(product.items()) == {f"{shop.namespace}/web", f"{shop.other}/web"}
    product.stop()
