"""A Service's traffic goes to a local process and back, and a client in the cluster notices no gap."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.real.cluster import Cluster
from tests.real.exposing import (
    COUNTED_PER_SECOND,
    LOCAL,
    Client,
    Expose,
    Local,
    cluster_address,
    failed,
    leftovers,
    per_second,
    replicas,
    settled_since,
    summary,
)
from tests.real.exposure_pod import restricted
from tests.real.manifests import Manifest, deployment, headless, service, statefulset
from tests.real.sandbox import Sandbox
from tests.real.traffic import Attempt, Figure

# A client with 50 connections a second takes a good part of two cores; beside other tests it would measure these.
pytestmark = pytest.mark.alone

ROUNDS = int(os.environ.get("LOCALIZE_TEST_ROUNDS", "5"))
PRE_STOP_SECONDS = 3
SETTLED_SECONDS = 20.0  # on a machine that does other things, too; the aim is 8 s
AFTER_EXPOSED_SECONDS = 5.0  # likewise; the aim is 1 s
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Case:
    """What is exposed, and what has to be exposed with it.

    Args:
        manifests: all that is made.
        workloads: those that are scaled down, as `deployment/web`.
        services: those that the command names.
        asks: the Services that the client asks in turn, and the port of each.
    """

    manifests: tuple[Manifest, ...]
    workloads: tuple[str, ...] = ("deployment/web",)
    services: tuple[str, ...] = ("web",)
    asks: tuple[tuple[str, int], ...] = (("web", 80),)

    def argv(self, namespace: str, local: Local) -> list[str]:
        """What the command is told: the Services, and for each of their ports the local one."""
        services = [
            one for one in self.manifests if one["kind"] == "Service" and one["metadata"]["name"] in self.services
        ]
        keys = {f"{namespace}/{one['metadata']['name']}": one["spec"]["ports"] for one in services}
        return [*keys, *(f"--map={key}={local.port}:{one['port']}" for key, ports in keys.items() for one in ports)]


def _web(name: str = "web", port: int = 8080, **ports: int) -> Manifest:
    return restricted(deployment(name, 2, port, PRE_STOP_SECONDS, **ports))


def _relabelled(workload: Manifest, part: str) -> Manifest:
    """The workload, its pods with the label part=PART besides, which is the one that a Service selects by."""
    workload["spec"]["template"]["metadata"]["labels"]["part"] = part
    return workload


def _stateful() -> Manifest:
    found = statefulset("web")
    spec = found["spec"]["template"]["spec"]
    spec["containers"][0]["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(PRE_STOP_SECONDS)]}}}
    spec["terminationGracePeriodSeconds"] = 2 + PRE_STOP_SECONDS
    return restricted(found)


def _low_and_named() -> Manifest:
    """A Deployment whose pods listen below 1024, too, though they are not root."""
    found = _web(admin=7071, low=443, sshd=2222)
    sysctls = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    found["spec"]["template"]["spec"]["securityContext"]["sysctls"] = sysctls
    return found


def _part(name: str) -> Manifest:
    return service(name, selector={"part": "both"})


CASES = {
    "a StatefulSet": Case((_stateful(), service("web")), ("statefulset/web",)),
    "two workloads behind a Service": Case(
        (_relabelled(_web("blue"), "both"), _relabelled(_web("green"), "both"), _part("web")),
        ("deployment/blue", "deployment/green"),
    ),
    "two Services on a workload": Case(
        (_web(), service("web"), service("too", {81: "http"}, "web")),
        services=("web", "too"),
        asks=(("web", 80), ("too", 81)),
    ),
    "a Service that was not asked for, on the same pods": Case(
        (_web(), service("web"), service("too", {81: "http"}, "web")), asks=(("too", 81),)
    ),
    "a named target port, one below 1024, and 2222": Case(
        (_low_and_named(), service("web", {80: "admin", 81: 443, 82: 2222})),
        asks=(("web", 80), ("web", 81), ("web", 82)),
    ),
}


@dataclass(frozen=True)
class Round:
    """One round of there and back, as the client and the command saw it; times in seconds.

    Args:
        exposed: from the command to `Exposed`.
        settled: from the command until every answer was the local process's.
        back: from Ctrl-C to the end of the command.
    """

    attempts: Sequence[Attempt]
    exposed: float
    settled: float
    back: float

    def says(self, what: str) -> str:
        """The figures in a line."""
        return (
            f"{summary(what, self.attempts)}; Exposed after {self.exposed:.1f} s, every answer local after"
            f" {self.settled:.1f} s, back in {self.back:.1f} s"
        )


def _there_and_back(sandbox: Sandbox, client: Client, local: Local, *argv: str) -> Round:
    """Expose, look at a second of answers, and end it; the client's figures of all that time, and a second more."""
    began = time.monotonic()
    with Expose(sandbox, *argv) as command:
        exposed = command.wait_exposed(PATIENCE_SECONDS)
        moment = time.monotonic()
        client.wait_settled(LOCAL)
        client.more(50)
        settled = settled_since(client.attempts(began), LOCAL) or time.monotonic()
        back = command.end(PATIENCE_SECONDS)
    client.more(50)
    assert settled <= moment + AFTER_EXPOSED_SECONDS
    assert local.count > 0
    return Round(client.attempts(began), exposed, settled - began, back)


def _restricted_namespace(cluster: Cluster, namespace: str) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")


def _prepare(cluster: Cluster, namespace: str, case: Case) -> dict[str, int]:
    """Make it, and return the workloads' replicas."""
    _restricted_namespace(cluster, namespace)
    cluster.apply(namespace, *case.manifests)
    cluster.wait_ready(namespace, *case.workloads)
    return {workload: replicas(cluster, namespace, workload) for workload in case.workloads}


def _client(cluster: Cluster, namespace: str, case: Case) -> Client:
    return Client(cluster, namespace, *(cluster_address(cluster, namespace, name, port) for name, port in case.asks))


def _assert_no_failure(attempts: Sequence[Attempt]) -> None:
    """On a machine that is too busy to ask so often, the pods cannot answer either: that says nothing."""
    assert per_second(attempts) >= COUNTED_PER_SECOND
    assert not failed(attempts), failed(attempts)


def _assert_as_before(cluster: Cluster, namespace: str, before: dict[str, int], rounds: Sequence[Round]) -> None:
    assert {workload: replicas(cluster, namespace, workload) for workload in before} == before
    assert not leftovers(cluster, namespace)
    for one in rounds:
        assert one.settled <= SETTLED_SECONDS


@pytest.mark.core
@pytest.mark.timeout(120 + 90 * ROUNDS)
def test_a_deployment_is_exposed_again_and_again_without_a_failure(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    case = Case((_web(), service("web")))
    before = _prepare(cluster, namespace, case)
    rounds: list[Round] = []
    with Local(sandbox) as local, _client(cluster, namespace, case) as client:
        for number in range(ROUNDS):
            rounds.append(_there_and_back(sandbox, client, local, *case.argv(namespace, local)))
            figure(rounds[-1].says(f"exposed without a gap, round {number + 1}"))
            _assert_no_failure(rounds[-1].attempts)
            assert len(cluster.pods(namespace, "web")) == 2
        everything = client.attempts()
    _assert_as_before(cluster, namespace, before, rounds)
    _assert_no_failure(everything)
    figure(
        f"{summary(f'all {ROUNDS} rounds', everything)}; every answer local after at most"
        f" {max(one.settled for one in rounds):.2f} s (wanted: 8 s), and"
        f" {max(one.settled - one.exposed for one in rounds):.2f} s after Exposed (wanted: 1 s)"
    )


def test_whoever_asks_once_it_is_exposed_is_answered_though_the_pods_end_at_once(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    case = Case((restricted(deployment("web", 2)), service("web")))
    before = _prepare(cluster, namespace, case)
    target = cluster_address(cluster, namespace, "web", 80)
    failures = 0
    with Local(sandbox) as local:
        for number in range(2):
            # A client of its own: a node remembers for two minutes where a connection without an answer was sent to.
            with (
                Client(cluster, namespace, target, name=f"client-{number}") as client,
                Expose(sandbox, *case.argv(namespace, local)) as command,
            ):
                command.wait_exposed(PATIENCE_SECONDS)
                exposed = time.monotonic()
                client.more(50)
                attempts = [one for one in client.all_begun_before(exposed + 1) if one.began > exposed - 5]
                command.end(PATIENCE_SECONDS)
            assert {(one.body, one.error) for one in attempts if one.began > exposed} == {(LOCAL, "")}
            failures += len(failed(attempts))
    _assert_as_before(cluster, namespace, before, [])
    figure(
        f"exposed, pods that end at once: {failures} attempts failed before it said Exposed, in 2 rounds; none after"
    )


@pytest.mark.parametrize("name", CASES)
def test_the_same_for(name: str, cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure) -> None:
    case = CASES[name]
    before = _prepare(cluster, namespace, case)
    with Local(sandbox) as local, _client(cluster, namespace, case) as client:
        once = _there_and_back(sandbox, client, local, *case.argv(namespace, local))
    figure(once.says(f"exposed without a gap, {name}"))
    _assert_no_failure(once.attempts)
    _assert_as_before(cluster, namespace, before, [once])


def test_a_headless_service_and_the_name_of_a_statefulsets_pod_lead_to_the_local_process(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    before = _prepare(cluster, namespace, Case((_stateful(), headless("web")), ("statefulset/web",)))
    domain = f"{namespace}.svc.cluster.local"
    with (
        Local(sandbox) as local,
        Client(cluster, namespace, f"web.{domain}:8080") as client,
        Client(cluster, namespace, f"web-0.web.{domain}:8080", name="client-0") as client_0,
        Expose(sandbox, f"{namespace}/web", "--map", str(local.port)) as command,
    ):
        command.wait_exposed(PATIENCE_SECONDS)
        # The names lead here after a while: DNS answers are kept for some seconds, and nothing is promised until then.
        client.wait_settled(LOCAL, 60)
        client_0.wait_settled(LOCAL, 60)
        command.end(PATIENCE_SECONDS)
        client_0.wait_settled("web-0", 60)
        figure(summary("exposed, a headless Service (failures are not bounded)", client.attempts()))
        figure(summary("exposed, a StatefulSet's pod by its name (likewise)", client_0.attempts()))
    _assert_as_before(cluster, namespace, before, [])
