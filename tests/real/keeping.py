"""What tests of `expose --keep` look at: a Service's selector, who answers it, and that its pods are as they were."""

from __future__ import annotations

import subprocess

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import LOCAL, check_nothing_left
from tests.real.manifests import Manifest, pod_spec


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


def template(name: str, **labels: str) -> Manifest:
    """A pod template with the label app=NAME and others."""
    return {"metadata": {"labels": {"app": name, **labels}}, "spec": pod_spec({"http": 8080})}
