"""Services and workloads that do not fit one to one: labels that we use too, Jobs, parts of a StatefulSet."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import Expose, Local, check_nothing_left, expose, leftovers, replicas
from tests.real.manifests import Manifest, deployment, headless, pod_spec, service, statefulset
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox

HELM = {"app": "web", "app.kubernetes.io/managed-by": "Helm", "sidecar.istio.io/inject": "true"}
POD_NAME = "statefulset.kubernetes.io/pod-name"


def _helm_web() -> tuple[Manifest, ...]:
    """What a chart makes: the Service selects by a label that we use, too; the migration's pod has all of them."""
    web = deployment("web")
    web["spec"]["selector"]["matchLabels"] = HELM
    web["spec"]["template"]["metadata"]["labels"] = HELM
    template = {"metadata": {"labels": HELM}, "spec": {**pod_spec({"http": 8080}), "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "migrate"}, "spec": {"template": template}}
    return web, job, service("web", selector=HELM)


def _exposure_pod(cluster: Cluster, namespace: str) -> dict[str, Any]:
    (pod,) = cluster.get("pods", f"--namespace={namespace}", "--selector=kubectl-localize/session")["items"]
    return dict(pod)


def _reason(sandbox: Sandbox) -> str:
    (item,) = json.loads(sandbox.localize("ls", "-o", "json").stdout)["items"]
    return str(item["reason"])


def test_labels_that_we_use_too_stay_and_a_jobs_pod_is_left_running(
    cluster: Cluster, namespace: str, sandbox: Sandbox
) -> None:
    cluster.apply(namespace, *_helm_web())
    cluster.wait_endpoints(namespace, "web", 2)
    with Local(sandbox) as local:
        argv = (f"{namespace}/web", f"--map={local.port}")
        assert_fails(expose(sandbox, *argv), r"Job migrate \(pod migrate-\w+\)", "--keep.*--force")
        with Expose(sandbox, *argv, "--force") as command:
            command.wait_exposed()
            assert re.search(r"warning: .*Job migrate \(pod migrate-\w+\)", command.terminal.text)
            labels = _exposure_pod(cluster, namespace)["metadata"]["labels"]
            assert {key: labels.get(key) for key in HELM} == HELM
            assert replicas(cluster, namespace, "deployment/web") == 0
            wait_until(
                "the word on the Job's pod", lambda: "traffic is shared with pod migrate-" in _reason(sandbox), 20
            )
            command.end()
    assert cluster.get("job", "migrate", f"--namespace={namespace}")["status"].get("active") == 1
    check_nothing_left(cluster, namespace)


def test_a_service_of_one_pod_of_a_statefulset(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    each = [service(f"pg-{number}", selector={POD_NAME: f"pg-{number}"}) for number in range(2)]
    cluster.apply(namespace, statefulset("pg"), headless("pg"), *each)
    cluster.wait_endpoints(namespace, "pg", 2)
    with Local(sandbox) as local:
        argv = (f"{namespace}/pg-1", f"--map={local.port}")
        assert_fails(expose(sandbox, *argv), f"{namespace}/pg-0 would lose its last endpoint", "--keep.*--force")
        assert not leftovers(cluster, namespace)
        with Expose(sandbox, *argv, "--force") as command:
            command.wait_exposed()
            assert f"{namespace}/pg-0 would lose its last endpoint" in command.terminal.text
            spec = _exposure_pod(cluster, namespace)["spec"]
            assert (spec["hostname"], spec["subdomain"]) == ("pg-1", "pg")
            command.end()
    check_nothing_left(cluster, namespace)
