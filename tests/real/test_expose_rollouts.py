"""Workloads that scaling to zero and back would not bring back as they are: a rollout hangs, pauses or is held."""

from __future__ import annotations

import json

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import Local, expose, leftovers, replicas
from tests.real.manifests import Manifest, deployment, service, statefulset
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox


def _held(name: str) -> Manifest:
    """A StatefulSet that leaves its pods alone when its template changes."""
    manifest = statefulset(name)
    manifest["spec"]["updateStrategy"] = {"type": "OnDelete"}
    return manifest


def _change(cluster: Cluster, namespace: str, workload: str, **container: str) -> None:
    """Change the container of a workload's template, or the pods' environment if nothing is given."""
    change: Manifest = dict(container) or {"env": [{"name": "CHANGED", "value": "yes"}]}
    spec = {"template": {"spec": {"containers": [{"name": "http", **change}]}}}
    cluster.kubectl("patch", workload, f"--namespace={namespace}", "--patch", json.dumps({"spec": spec}))


def _refused(sandbox: Sandbox, namespace: str, name: str, local: Local, message: str, hint: str, *argv: str) -> None:
    done = expose(sandbox, f"{namespace}/{name}", f"--map={local.port}", *argv)
    assert_fails(done, message, hint)


@pytest.mark.core
def test_an_unfinished_rollout_is_refused_and_left_alone(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    names = ("hung", "paused", "held")
    cluster.apply(namespace, deployment("hung", 2), deployment("paused"), _held("held"), *map(service, names))
    cluster.wait_ready(namespace, "deployment/hung", "deployment/paused")
    wait_until("the StatefulSet's pods", lambda: _ready(cluster, namespace, "held") == 2, 30)
    _change(cluster, namespace, "deployment/hung", image="localhost/nothing:1", imagePullPolicy="Never")
    cluster.kubectl("rollout", "pause", "deployment/paused", f"--namespace={namespace}")
    _change(cluster, namespace, "statefulset/held")
    wait_until("the new pod's trouble", lambda: "ErrImageNeverPull" in _pods(cluster, namespace), 30)
    wait_until("the new revision", lambda: _revisions(cluster, namespace, "held") == 2, 30)
    with Local(sandbox) as local:
        for argv in ((), ("--force",)):  # what would not come back cannot be forced
            broken = r"rollout of Deployment .*/hung is not finished \(pod hung-.*: ErrImageNeverPull\): 2 of 3 pods"
            _refused(sandbox, namespace, "hung", local, broken, "rollout status.*--keep", *argv)
        _refused(sandbox, namespace, "paused", local, "Deployment .*/paused is paused", "rollout resume.*--keep")
        held = r"rollout of StatefulSet .*/held is not finished \(its update strategy is OnDelete\): 2 of 2 pods"
        _refused(sandbox, namespace, "held", local, held, "rollout status.*--keep")
    assert not leftovers(cluster, namespace)
    assert [replicas(cluster, namespace, f"deployment/{name}") for name in ("hung", "paused")] == [2, 1]


def _ready(cluster: Cluster, namespace: str, name: str) -> int:
    return int(cluster.get("statefulset", name, f"--namespace={namespace}")["status"].get("readyReplicas") or 0)


def _revisions(cluster: Cluster, namespace: str, name: str) -> int:
    status = cluster.get("statefulset", name, f"--namespace={namespace}")["status"]
    return len({status["currentRevision"], status["updateRevision"]})


def _pods(cluster: Cluster, namespace: str) -> str:
    return json.dumps(cluster.get("pods", f"--namespace={namespace}"))
