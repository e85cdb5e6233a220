"""The laptop is gone: the cluster brings the workload back by itself, and the exposure knows when it returns."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.crashing import kill_everything
from tests.real.exposing import (
    LOCAL,
    Client,
    Expose,
    Local,
    check_nothing_left,
    cluster_address,
    expose,
    leftovers,
    replicas,
)
from tests.real.manifests import deployment, service
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

FAILSAFE_SECONDS = 5
AT_MOST_SECONDS = 40.0  # 6 s until sshd gives the session up, the failsafe's own, and a busy machine


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A namespace with two Deployments of 2 and a Service each."""
    for name in ("web", "more"):
        cluster.apply(namespace, deployment(name, 2), service(name))
    cluster.wait_ready(namespace, "deployment/web", "deployment/more")
    return namespace


def replicas_inside(cluster: Cluster, namespace: str, name: str) -> int:
    """What a Deployment is scaled to, asked from inside the node, where no silence of the link is heard."""
    node = cluster.node
    kubectl = (str(node.cache.hyperkube), "kubectl", f"--kubeconfig={node.kubeconfig}")
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    found = json.loads(node.inside(*kubectl, "get", f"--raw={path}"))  # one request, and no cache in the user's home
    return int(found["spec"]["replicas"])


@pytest.mark.node
@pytest.mark.alone
def test_the_laptop_vanishes(cluster: Cluster, web: str, sandboxes: Callable[..., Sandbox], figure: Figure) -> None:
    """One of two laptops is cut off and loses its battery; the other one is cut off, and comes back."""
    lost, away = sandboxes(), sandboxes()
    options = ("--failsafe", f"{FAILSAFE_SECONDS}s")
    with (
        Local(lost) as ours,
        Local(away) as theirs,
        Client(cluster, web, cluster_address(cluster, web, "web")) as client,
        Expose(away, f"{web}/more", f"--map={theirs.port}", *options) as command,
    ):
        done = expose(lost, "-d", f"{web}/web", f"--map={ours.port}", *options)
        assert done.returncode == 0, done.stderr
        client.wait_settled(LOCAL)
        command.wait_exposed()
        assert replicas_inside(cluster, web, "web") == 0
        cluster.node.sever()
        severed = time.monotonic()
        try:
            kill_everything(lost)
            for name in ("web", "more"):
                back = lambda name=name: replicas_inside(cluster, web, name) == 2  # noqa: E731
                wait_until(f"replicas of {name}", back, AT_MOST_SECONDS)
                seconds = time.monotonic() - severed
                figure(f"failsafe of {FAILSAFE_SECONDS} s: {name} scaled up {seconds:.1f} s after the link was cut")
                assert seconds > FAILSAFE_SECONDS
        finally:
            cluster.node.mend()
        mended = time.monotonic()
        command.terminal.expect("the failsafe has brought Deployment .*/more back", 30)
        seconds = time.monotonic() - mended
        figure(f"failsafe: the laptop that comes back says so {seconds:.1f} s after the link was mended")
        assert command.wait() == 1
        assert "as this machine was gone" in command.terminal.text
        pods = cluster.pods(web, "web")
        wait_until("answers of the real pods", lambda: client.attempts(tail=1)[0].body in pods, 30)
        figure(f"failsafe: the real pods answer {first_answer(client, pods) - severed:.1f} s after the link was cut")
    assert {one.split()[0] for one in leftovers(cluster, web)} >= {"Pod", "Secret", "Lease"}  # the lost laptop's
    done = lost.localize("restore")
    assert done.returncode == 0, done.stderr
    assert f"Deployment {web}/web is at 2 already" in done.stderr
    for name in ("web", "more"):
        assert replicas(cluster, web, f"deployment/{name}") == 2
        assert len(cluster.pods(web, name)) == 2
    check_nothing_left(cluster, web)


def first_answer(client: Client, pods: list[str]) -> float:
    """When one of these pods has first answered since the local process was the last one to."""
    attempts = client.attempts()
    local = max(one.began for one in attempts if one.body == LOCAL)
    return min(one.ended for one in attempts if one.body in pods and one.began > local)
