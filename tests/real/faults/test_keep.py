"""`expose --keep` again and again, and killed at each request that changes something."""

from __future__ import annotations

import os

import pytest

from tests.real import crashing
from tests.real.cluster import Cluster
from tests.real.crashing import AFTER, BEFORE, PassThrough, kill_everything, open_port, open_web
from tests.real.exposing import PER_SECOND, Client, Local, cluster_address, failed, summary
from tests.real.keeping import check_back, pod_uids, switch_there_and_back
from tests.real.manifests import deployment, service
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

# Five Services at once are as many switches as five rounds.
SERVICES = 5
ROUNDS = max(1, int(os.environ.get("LOCALIZE_TEST_ROUNDS", "50")) // SERVICES)
CALLS = 16  # at least as many as there are


@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_fifty_switches_there_and_back_fail_no_request(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    names = [f"web{number}" for number in range(SERVICES)]
    # Pods that end at once when they are told to, which nobody does.
    cluster.apply(namespace, *(deployment(name, 2) for name in names), *(service(name) for name in names))
    cluster.wait_ready(namespace, *(f"deployment/{name}" for name in names))
    before, pods = {name: {"app": name} for name in names}, pod_uids(cluster, namespace)
    targets = [cluster_address(cluster, namespace, name) for name in names]
    switches = []
    with Local(sandbox) as local, Client(cluster, namespace, *targets) as client:
        client.more(PER_SECOND)  # before its first answers kube-proxy need not have heard of all Services
        argv = [*(f"{namespace}/{name}" for name in names), *(f"--map={name}={local.port}" for name in names)]
        for number in range(ROUNDS):
            switches.append(switch_there_and_back(sandbox, client, *argv))
            figure(switches[-1].says(f"{SERVICES} Services switched, round {number + 1}"))
            assert not failed(switches[-1].attempts), failed(switches[-1].attempts)
    check_back(cluster, namespace, before, pods)
    everything = [attempt for switch in switches for attempt in switch.attempts]
    figure(summary(f"{SERVICES * ROUNDS} switches there and back", everything))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", range(1, CALLS + 1), ids="{:02}".format)
def test_restore_after_a_kill_at_every_call(
    number: int, cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    web = open_web(cluster, namespace)
    pods = pod_uids(cluster, namespace)
    for when in (BEFORE, AFTER):
        call = _crash(sandbox, web, number, when)
        if not call:
            pytest.skip("there are fewer calls")
        done = sandbox.localize("restore")
        assert done.returncode == 0, done.stderr
        check_back(cluster, namespace, {"web": {"app": "web"}}, pods)
    figure(f"--keep killed at call {number}, {call}: all is back")


def _crash(sandbox: Sandbox, web: str, number: int, when: str) -> str:
    """Expose and take back, with everything of ours killed at a call; which one that was, empty if there is none."""
    passing = PassThrough(sandbox, number, when)
    with open_port() as port, crashing.expose(sandbox, web, port, "--keep", env=passing.env) as run:
        is_reached = run.there_and_back(lambda: passing.reached)
        kill_everything(sandbox)
    return passing.calls()[number - 1] if is_reached else ""
