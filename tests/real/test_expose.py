"""A Service's traffic goes to a local process and back, and a client in the cluster notices no gap."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import pytest

from tests.real.cluster import Cluster
from tests.real.exposing import (
    COUNTED_PER_SECOND,
    LOCAL,
    Client,
    Expose,
    Local,
    check_nothing_left,
    cluster_address,
    failed,
    per_second,
    replicas,
    summary,
)
from tests.real.exposing_rounds import (
    PATIENCE_SECONDS,
    PRE_STOP_SECONDS,
    Case,
    Round,
    client_of,
    prepare,
    there_and_back,
    web,
)
from tests.real.exposure_pod import restricted
from tests.real.manifests import Manifest, deployment, headless, service, statefulset
from tests.real.sandbox import Sandbox
from tests.real.traffic import Attempt, Figure

# A client with 50 connections a second takes a good part of two cores; beside other tests it would measure these.
pytestmark = pytest.mark.alone

ROUNDS = int(os.environ.get("LOCALIZE_TEST_ROUNDS", "2"))  # `make bench` measures 20, `make soak` takes 50
ROUNDS_AT_ONCE = max(1, ROUNDS // 2)  # half a minute each
SETTLED_SECONDS = 20.0  # on a machine that does other things, too; the aim is 8 s


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
    found = web(admin=7071, low=443, sshd=2222)
    sysctls = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    found["spec"]["template"]["spec"]["securityContext"]["sysctls"] = sysctls
    return found


def _part(name: str) -> Manifest:
    return service(name, selector={"part": "both"})


CASES = {
    "a StatefulSet": Case((_stateful(), service("web")), ("statefulset/web",)),
    "two workloads behind a Service": Case(
        (_relabelled(web("blue"), "both"), _relabelled(web("green"), "both"), _part("web")),
        ("deployment/blue", "deployment/green"),
    ),
    "two Services on a workload": Case(
        (web(), service("web"), service("too", {81: "http"}, "web")),
        services=("web", "too"),
        asks=(("web", 80), ("too", 81)),
    ),
    "a Service that was not asked for, on the same pods": Case(
        (web(), service("web"), service("too", {81: "http"}, "web")), asks=(("too", 81),)
    ),
    "a named target port, one below 1024, and 2222": Case(
        (_low_and_named(), service("web", {80: "admin", 81: 443, 82: 2222})),
        asks=(("web", 80), ("web", 81), ("web", 82)),
    ),
}


def _assert_no_failure(attempts: Sequence[Attempt]) -> None:
    """On a machine that is too busy to ask so often, the pods cannot answer either: that says nothing."""
    assert per_second(attempts) >= COUNTED_PER_SECOND
    assert not failed(attempts), failed(attempts)


def _assert_as_before(cluster: Cluster, namespace: str, before: dict[str, int], rounds: Sequence[Round]) -> None:
    assert {workload: replicas(cluster, namespace, workload) for workload in before} == before
    check_nothing_left(cluster, namespace)
    for one in rounds:
        assert one.settled <= SETTLED_SECONDS


@pytest.mark.core
@pytest.mark.timeout(120 + 90 * ROUNDS)
def test_a_deployment_is_exposed_again_and_again_without_a_failure(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    case = Case((web(), service("web")))
    before = prepare(cluster, namespace, case)
    rounds: list[Round] = []
    with Local(sandbox) as local, client_of(cluster, namespace, case) as client:
        began = time.monotonic()  # before its first answer kube-proxy need not have heard of the Service
        for number in range(ROUNDS):
            rounds.append(there_and_back(sandbox, client, local, *case.argv(namespace, local)))
            figure(rounds[-1].says(f"exposed without a gap, round {number + 1}"))
            _assert_no_failure(rounds[-1].attempts)
            assert len(cluster.pods(namespace, "web")) == 2
        everything = client.attempts(began)
    _assert_as_before(cluster, namespace, before, rounds)
    _assert_no_failure(everything)
    figure(
        f"{summary(f'all {ROUNDS} rounds', everything)}; every answer local after at most"
        f" {max(one.settled for one in rounds):.2f} s (wanted: 8 s), and"
        f" {max(one.settled - one.exposed for one in rounds):.2f} s after Exposed (wanted: 1 s)"
    )


@pytest.mark.timeout(120 + 45 * ROUNDS)
def test_whoever_asks_once_it_is_exposed_is_answered_though_the_pods_end_at_once(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    case = Case((restricted(deployment("web", 2)), service("web")))
    before = prepare(cluster, namespace, case)
    target = cluster_address(cluster, namespace, "web", 80)
    failures = 0
    with Local(sandbox) as local:
        for number in range(ROUNDS_AT_ONCE):
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
        f"exposed, pods that end at once: {failures} attempts failed before it said Exposed,"
        f" none after (rounds: {ROUNDS_AT_ONCE})"
    )


@pytest.mark.parametrize("name", CASES)
def test_the_same_for(name: str, cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure) -> None:
    case = CASES[name]
    before = prepare(cluster, namespace, case)
    with Local(sandbox) as local, client_of(cluster, namespace, case) as client:
        once = there_and_back(sandbox, client, local, *case.argv(namespace, local))
    figure(once.says(f"exposed without a gap, {name}"))
    _assert_no_failure(once.attempts)
    _assert_as_before(cluster, namespace, before, [once])


def test_a_headless_service_and_the_name_of_a_statefulsets_pod_lead_to_the_local_process(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    before = prepare(cluster, namespace, Case((_stateful(), headless("web")), ("statefulset/web",)))
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
