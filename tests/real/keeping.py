"""What tests of `expose --keep` look at: a Service's selector, who answers it, and that its pods are as they were."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import LOCAL, PER_SECOND, Client, Expose, check_nothing_left, settled_since, summary
from tests.real.manifests import Manifest, pod_spec
from tests.real.sandbox import Sandbox
from tests.real.traffic import Attempt


def selector_of(cluster: Cluster, namespace: str, name: str) -> dict[str, str]:
    """What a Service selects by."""
    selector: dict[str, str] = cluster.get("service", name, f"--namespace={namespace}")["spec"].get("selector") or {}
    return selector


def is_switched(cluster: Cluster, namespace: str, name: str) -> bool:
    """Whether a Service selects an exposure pod and nothing else."""
    values = set(selector_of(cluster, namespace, name).values())
    return len(values) == 1 and all(value.startswith("localize-") for value in values)


def answer(cluster: Cluster, namespace: str, name: str, port: int = 80) -> str:
    """What a Service answers to the API server, which asks one of its endpoints; empty if there is none."""
    path = f"/api/v1/namespaces/{namespace}/services/{name}:{port}/proxy/"
    try:
        return cluster.kubectl("get", "--raw", path).strip()
    except subprocess.CalledProcessError:
        return ""


def wait_local(cluster: Cluster, namespace: str, name: str) -> None:
    """Wait until a Service's answer is the local process's."""
    wait_until(f"local answer of {name}", lambda: answer(cluster, namespace, name) == LOCAL, 30)


def wait_foreign(cluster: Cluster, namespace: str, name: str) -> None:
    """Wait until a Service's answer is one of its own pods'."""
    wait_until(f"own answer of {name}", lambda: answer(cluster, namespace, name).startswith(name), 30)


def pod_uids(cluster: Cluster, namespace: str) -> list[str]:
    """Every pod of a namespace that is none of ours, with its uid and restarts."""
    items = cluster.get("pods", f"--namespace={namespace}", "--selector=!kubectl-localize/session")["items"]
    return sorted(
        f"{item['metadata']['name']} {item['metadata']['uid']} {_restarts(item)}"
        for item in items
        if item["metadata"]["name"] != "client"
    )


def _restarts(pod: Manifest) -> int:
    return sum(status["restartCount"] for status in pod["status"].get("containerStatuses") or ())


def check_back(cluster: Cluster, namespace: str, selectors: dict[str, dict[str, str]], pods: list[str]) -> None:
    """Every Service selects as before, no pod has stopped or restarted, and nothing of ours is left."""
    assert {name: selector_of(cluster, namespace, name) for name in selectors} == selectors
    assert pod_uids(cluster, namespace) == pods
    check_nothing_left(cluster, namespace)


@dataclass(frozen=True)
class Switch:
    """One round of there and back, as a client saw it; times in seconds.

    Args:
        there: from the exposure pod being Ready until every answer was the local process's.
        back: from Ctrl-C until no answer was.
    """

    attempts: Sequence[Attempt]
    there: float
    back: float

    def says(self, what: str) -> str:
        """The figures in a line."""
        seconds = f"all local {self.there:.1f} s after Ready, none {self.back:.1f} s after Ctrl-C"
        return f"{summary(what, self.attempts)}; {seconds}"


def switch_there_and_back(sandbox: Sandbox, client: Client, *argv: str) -> Switch:
    """Expose with `--keep`, look at a second of answers, and end it."""
    began = time.monotonic()
    with Expose(sandbox, "--keep", *argv) as command:
        command.terminal.expect(r"exposure pod \S+ Ready", 60)
        ready = time.monotonic()
        command.wait_exposed()
        client.more(PER_SECOND)
        interrupted = time.monotonic()
        command.end()
    client.more(PER_SECOND)
    attempts = client.attempts(began)
    live = [attempt for attempt in attempts if attempt.began < interrupted]
    settled = settled_since(live, LOCAL)
    last = max(attempt.began for attempt in attempts if attempt.body == LOCAL)
    assert settled is not None
    return Switch(attempts, settled - ready, last - interrupted)


def template(name: str, **labels: str) -> Manifest:
    """A pod template with the label app=NAME and others."""
    return {"metadata": {"labels": {"app": name, **labels}}, "spec": pod_spec({"http": 8080})}
