"""Everything of ours is killed at any step of an exposure: `restore`, or simply the next start, puts all back."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tests.real.cluster import Cluster
from tests.real.crashing import (
    AFTER,
    BEFORE,
    REPLICAS,
    PassThrough,
    Run,
    at_once,
    expose,
    kill_everything,
    open_port,
    open_web,
    restore,
    wait_tidy,
)
from tests.real.product import Product
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

# Up: Lease, Secret, ServiceAccount and Role, RoleBinding and Pod, scale. Back: scale, Pod, Secret, Lease.
CALLS = 11
SCALED = 7
EACH = [pytest.param(number, marks=pytest.mark.core if number == SCALED else ()) for number in range(1, CALLS + 1)]
BACK = 4
KILLS = int(os.environ.get("LOCALIZE_TEST_KILLS", "5"))
# Before a call the cluster is as it was after the last one, or nearly where two are made at the same time: `make test`
# kills after each call and has some of what the next start puts back, `make soak` has all of it.
EVERY_CALL = os.environ.get("LOCALIZE_TEST_MATRIX") == "all"
MOMENTS = (BEFORE, AFTER) if EVERY_CALL else (AFTER,)
UP_SECONDS, BACK_SECONDS = 8.0, 6.0


pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def port() -> Iterator[str]:
    """Of a local process."""
    with open_port() as number:
        yield number


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A Service with two pods."""
    return open_web(cluster, namespace)


def crash(sandbox: Sandbox, web: str, port: str, number: int, when: str) -> str:
    """Expose and take back, with everything of ours killed at a call; which one that was."""
    passing = PassThrough(sandbox, number, when)
    with expose(sandbox, web, port, env=passing.env) as run:
        assert run.there_and_back(lambda: passing.reached), f"no call {number}: {passing.calls()}"
        kill_everything(sandbox)
    return passing.calls()[number - 1]


def row(number: int, call: str, what: str, *seconds: float) -> str:
    """A line of the matrix."""
    pair = zip(MOMENTS, seconds, strict=True)
    return f"killed at call {number:2}, {call:30} {what}: {', '.join(f'{when} {took:4.1f} s' for when, took in pair)}"


@pytest.mark.core
def test_the_matrix_has_every_call(cluster: Cluster, namespace: str, sandbox: Sandbox, web: str, port: str) -> None:
    passing = PassThrough(sandbox)
    with expose(sandbox, web, port, env=passing.env) as run:
        assert not run.there_and_back(lambda: False)
        assert run.wait_over() == 0, run.said
    assert len(passing.calls()) == CALLS, passing.calls()
    assert at_once(cluster, namespace) == (REPLICAS, [])
    wait_tidy(cluster, sandbox, namespace)


@pytest.mark.parametrize("number", EACH, ids="{:02}".format)
def test_restore_after_a_kill_at_every_call(
    number: int, cluster: Cluster, namespace: str, sandbox: Sandbox, web: str, port: str, figure: Figure
) -> None:
    took = []
    for when in MOMENTS:
        call = crash(sandbox, web, port, number, when)
        began = time.monotonic()
        done = restore(sandbox)
        took.append(time.monotonic() - began)
        assert at_once(cluster, namespace) == (REPLICAS, []), done.stderr
        assert "somebody" not in done.stderr
        wait_tidy(cluster, sandbox, namespace)
    figure(row(number, call, "restore", *took))


@pytest.mark.parametrize("number", range(1, CALLS + 1) if EVERY_CALL else (3, 7, 11), ids="{:02}".format)
def test_the_next_start_after_a_kill_at_every_call(
    number: int, cluster: Cluster, namespace: str, product: Product, web: str, port: str, figure: Figure
) -> None:
    took = []
    for when in MOMENTS:
        call = crash(product.sandbox, web, port, number, when)
        began = time.monotonic()
        product.detach("--no-hosts", "--no-sudo", "-n", namespace)
        wait_tidy(cluster, product.sandbox, namespace)
        took.append(time.monotonic() - began)
        product.stop()
    figure(row(number, call, "next start", *took))


@pytest.mark.parametrize("number", range(1, CALLS + 1) if EVERY_CALL else (2, 6, 8), ids="{:02}".format)
def test_the_next_expose_after_a_kill_at_every_call(
    number: int, cluster: Cluster, namespace: str, sandbox: Sandbox, web: str, port: str, figure: Figure
) -> None:
    took = []
    for when in MOMENTS:
        call = crash(sandbox, web, port, number, when)
        began = time.monotonic()
        with expose(sandbox, web, port) as run:
            run.wait_live()
            took.append(time.monotonic() - began)
            count, ours = at_once(cluster, namespace)
            assert (count, sorted(one.partition(" ")[0] for one in ours)) == (0, ["Lease", "Pod", "Secret"])
            run.interrupt()
            assert run.wait_over() == 0, run.said
        assert at_once(cluster, namespace) == (REPLICAS, []), run.said
        wait_tidy(cluster, sandbox, namespace)
    figure(row(number, call, "next expose is live", *took))


@pytest.mark.parametrize("kill", range(KILLS), ids="{:03}".format)
def test_restore_after_a_kill_at_any_moment(
    kill: int, cluster: Cluster, namespace: str, sandbox: Sandbox, web: str, port: str, figure: Figure
) -> None:
    seed = int(os.environ.get("LOCALIZE_TEST_SEED") or random.randrange(10**6))
    chance = random.Random(seed)
    back = chance.random() < 0.5
    moment = chance.uniform(0, BACK_SECONDS if back else UP_SECONDS)
    what = f"killed {moment:.2f} s into the way {'back' if back else 'up'} (LOCALIZE_TEST_SEED={seed})"
    print(what)
    with expose(sandbox, web, port) as run:
        if back:
            run.wait_live()
            run.interrupt()
        began = time.monotonic()
        run.wait(lambda: run.over or time.monotonic() - began >= moment, "moment")
        kill_everything(sandbox)
    began = time.monotonic()
    done = restore(sandbox)
    figure(f"{what}: restore {time.monotonic() - began:.1f} s")
    assert at_once(cluster, namespace) == (REPLICAS, []), done.stderr
    wait_tidy(cluster, sandbox, namespace)


@pytest.mark.parametrize("number", range(1, BACK + 1))
def test_restore_after_a_killed_restore(
    number: int, cluster: Cluster, namespace: str, sandbox: Sandbox, web: str, port: str
) -> None:
    with expose(sandbox, web, port) as run:
        run.wait_live()
        kill_everything(sandbox)
    passing = PassThrough(sandbox, number, AFTER)
    with Run(sandbox, "restore", env=passing.env) as first:
        first.wait(lambda: passing.reached or first.over, "call")
        assert not first.over, first.said
        kill_everything(sandbox)
    done = restore(sandbox)
    assert at_once(cluster, namespace) == (REPLICAS, []), done.stderr
    wait_tidy(cluster, sandbox, namespace)
