"""What an exposure left is undone with other people about: their count wins, and so do their hands."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.real.cluster import Cluster
from tests.real.crashing import (
    REPLICAS,
    at_once,
    colleagues,
    expose,
    journal_of,
    kill_everything,
    open_port,
    open_web,
    restore,
    wait_tidy,
)
from tests.real.exposing import leftovers, replicas
from tests.real.product import Product
from tests.real.sandbox import Sandbox

THEIRS = 3
STAYS = f"stays at {THEIRS}: somebody else has scaled it (it had {REPLICAS})"


@pytest.fixture
def port() -> Iterator[str]:
    """Of a local process."""
    with open_port() as number:
        yield number


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A Service with two pods."""
    return open_web(cluster, namespace)


def scale(cluster: Cluster, namespace: str, count: int) -> None:
    """What a colleague does."""
    cluster.kubectl("scale", "deployment/web", f"--namespace={namespace}", f"--replicas={count}")


def by_hand(cluster: Cluster, namespace: str, kind: str) -> str:
    """The commands by which an object of ours says that it can be undone."""
    (found,) = cluster.get(kind, f"--namespace={namespace}", "--selector=kubectl-localize/session")["items"]
    commands: str = found["metadata"]["annotations"]["kubectl-localize/undo"]
    return commands


@pytest.mark.core
def test_whoever_scaled_it_after_a_crash_wins(
    cluster: Cluster,
    namespace: str,
    sandbox: Sandbox,
    web: str,
    port: str,
) -> None:
    with expose(sandbox, web, port) as run:
        run.wait_live()
        kill_everything(sandbox)
    scale(cluster, namespace, THEIRS)
    assert STAYS in restore(sandbox).stderr
    assert at_once(cluster, namespace) == (THEIRS, [])
    wait_tidy(cluster, sandbox, namespace, THEIRS)


def test_whoever_scaled_it_while_it_is_live_wins(
    cluster: Cluster,
    namespace: str,
    sandbox: Sandbox,
    web: str,
    port: str,
) -> None:
    with expose(sandbox, web, port) as run:
        run.wait_live()
        scale(cluster, namespace, THEIRS)
        run.interrupt()
        assert run.wait_over() == 0, run.said
        assert STAYS in run.said
    assert at_once(cluster, namespace) == (THEIRS, [])
    wait_tidy(cluster, sandbox, namespace, THEIRS)


@pytest.mark.core
def test_what_a_crash_left_is_undone_by_hand(
    cluster: Cluster,
    namespace: str,
    sandbox: Sandbox,
    web: str,
    port: str,
) -> None:
    with expose(sandbox, web, port) as run:
        run.wait_live()
        kill_everything(sandbox)
    commands = by_hand(cluster, namespace, "secrets")
    assert commands == by_hand(cluster, namespace, "leases")
    done = sandbox.run("sh", "-c", commands)
    assert done.returncode == 0, done.stderr
    assert at_once(cluster, namespace) == (REPLICAS, [])
    assert "undoing" not in restore(sandbox).stderr
    wait_tidy(cluster, sandbox, namespace)


def test_an_exposure_that_is_undone_by_hand_ends_and_says_why(
    cluster: Cluster,
    namespace: str,
    sandbox: Sandbox,
    web: str,
    port: str,
) -> None:
    with expose(sandbox, web, port) as run:
        run.wait_live()
        done = sandbox.run("sh", "-c", by_hand(cluster, namespace, "leases"))
        assert done.returncode == 0, done.stderr
        assert run.wait_over() == 1, run.said
        assert "somebody has ended this exposure by hand" in run.said
    wait_tidy(cluster, sandbox, namespace)


def test_restore_leaves_what_lives_and_what_is_a_colleagues_alone(
    cluster: Cluster,
    namespace: str,
    sandbox: Sandbox,
    web: str,
    port: str,
) -> None:
    with expose(sandbox, web, port) as run:
        run.wait_live()
        ours = leftovers(cluster, namespace)
        theirs = colleagues(journal_of(cluster, namespace))
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(theirs))

        said = restore(sandbox).stderr
        assert f"left alone: {web}, exposed by" in said
        assert f"left alone: {namespace}/other, exposed by bob (bob@elsewhere)" in said
        assert sorted(leftovers(cluster, namespace)) == sorted([*ours, "Lease localize-deployment-other"])
        assert replicas(cluster, namespace, "deployment/web") == 0
        assert not run.over, run.said
        kill_everything(sandbox)

    said = restore(sandbox).stderr
    assert f"undoing the exposure of {web}" in said
    assert "bob@elsewhere" in said
    assert at_once(cluster, namespace) == (REPLICAS, ["Lease localize-deployment-other"])
    cluster.kubectl("delete", "lease", "localize-deployment-other", f"--namespace={namespace}")
    wait_tidy(cluster, sandbox, namespace)


def test_a_journal_that_this_machine_has_no_record_of_is_undone_only_with_a_yes_and_by_the_supervisor_that_runs(
    cluster: Cluster,
    namespace: str,
    product: Product,
    web: str,
    port: str,
) -> None:
    """Everybody who may write Leases could have made it, with the name and the machine of this user."""
    sandbox = product.sandbox
    with expose(sandbox, web, port) as run:
        run.wait_live()
        kill_everything(sandbox)
    for ledger in sandbox.home.glob(".kube/localize/*/exposures.json"):
        ledger.unlink()
    product.detach("--no-hosts", "--no-sudo", "-n", namespace)
    supervisor = product.pid()

    said = restore(sandbox).stderr
    assert f"left alone: {web}, exposed by" in said
    assert "no record of it here" in said
    assert replicas(cluster, namespace, "deployment/web") == 0

    said = restore(sandbox, "--yes").stderr
    assert f"undoing the exposure of {web}" in said
    assert at_once(cluster, namespace) == (REPLICAS, [])
    assert product.pid() == supervisor, "the one that runs has done it, and goes on"
    product.stop()
    wait_tidy(cluster, sandbox, namespace)
