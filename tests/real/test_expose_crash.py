"""Everything of ours is killed at any step of an exposure: `restore`, or simply the next start, puts all back."""

from __future__ import annotations

import socket
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
    kill_everything,
    restore,
    wait_tidy,
)
from tests.real.manifests import deployment, service
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

# Up: Lease, Secret, ServiceAccount, Role, RoleBinding, Pod, scale. Back: scale, Pod, Secret, Lease.
CALLS = 11


@pytest.fixture
def port() -> Iterator[str]:
    """Of a local process that is not killed with everything of ours; nobody asks it anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A Service with two pods."""
    cluster.apply(namespace, deployment("web", replicas=REPLICAS), service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    return f"{namespace}/web"


def crash(sandbox: Sandbox, web: str, port: str, number: int, when: str) -> str:
    """Expose and take back, with everything of ours killed at a call; which one that was."""
    passing = PassThrough(sandbox, number, when)
    with Run(sandbox, "--map", port, web, env=passing.env) as run:
        assert run.there_and_back(lambda: passing.reached), f"no call {number}: {passing.calls()}"
        kill_everything(sandbox)
    return passing.calls()[number - 1]


def test_the_matrix_has_every_call(cluster: Cluster, namespace: str, sandbox: Sandbox, web: str, port: str) -> None:
    passing = PassThrough(sandbox)
    with Run(sandbox, "--map", port, web, env=passing.env) as run:
        assert not run.there_and_back(lambda: False)
        assert run.wait_over() == 0, run.said
    assert len(passing.calls()) == CALLS, passing.calls()
    assert at_once(cluster, namespace) == (REPLICAS, [])
    wait_tidy(cluster, sandbox, namespace)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_restore_after_a_kill_at_every_call(
    number: int, cluster: Cluster, namespace: str, sandbox: Sandbox, web: str, port: str, figure: Figure
) -> None:
    row = []
    for when in (BEFORE, AFTER):
        call = crash(sandbox, web, port, number, when)
        began = time.monotonic()
        done = restore(sandbox)
        row.append(f"{when} {time.monotonic() - began:4.1f} s")
        assert at_once(cluster, namespace) == (REPLICAS, []), done.stderr
        wait_tidy(cluster, sandbox, namespace)
    figure(f"killed at call {number:2}, {call:36} restore: {', '.join(row)}")
