"""Rounds of an exposure, there and back, as the tests and the bench take them, with their figures."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.real.cluster import Cluster
from tests.real.exposing import LOCAL, Client, Expose, Local, cluster_address, replicas, settled_since, summary
from tests.real.exposure_pod import restricted
from tests.real.manifests import Manifest, deployment
from tests.real.sandbox import Sandbox
from tests.real.traffic import Attempt

PRE_STOP_SECONDS = 3
AFTER_EXPOSED_SECONDS = 5.0  # on a machine that does other things, too; the aim is 1 s
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


def web(name: str = "web", port: int = 8080, **ports: int) -> Manifest:
    """A Deployment of two replicas whose pods take PRE_STOP_SECONDS to go."""
    return restricted(deployment(name, 2, port, PRE_STOP_SECONDS, **ports))


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


def there_and_back(sandbox: Sandbox, client: Client, local: Local, *argv: str) -> Round:
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


def restrict(cluster: Cluster, namespace: str) -> None:
    """Let the namespace take pods of Pod Security `restricted` only."""
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")


def prepare(cluster: Cluster, namespace: str, case: Case) -> dict[str, int]:
    """Make it, and return the workloads' replicas."""
    restrict(cluster, namespace)
    cluster.apply(namespace, *case.manifests)
    cluster.wait_ready(namespace, *case.workloads)
    return {workload: replicas(cluster, namespace, workload) for workload in case.workloads}


def client_of(cluster: Cluster, namespace: str, case: Case) -> Client:
    """A client in the cluster that asks the case's Services in turn."""
    return Client(cluster, namespace, *(cluster_address(cluster, namespace, name, port) for name, port in case.asks))
