"""Clusters that want pods otherwise: LimitRanges, quotas, policies, pull secrets; and what is said if nothing helps."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import Expose, Local, check_nothing_left, expose, leftovers
from tests.real.manifests import Manifest, deployment, pod_spec, service
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox

RESOURCES = {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
EVERY_CONTAINER = "object.spec.containers.all(container, {})"


def _web() -> Manifest:
    """A Deployment as such a cluster wants it, with a ServiceAccount whose pull secret its pods get."""
    web = deployment("web")
    template = web["spec"]["template"]
    template["metadata"]["labels"]["team"] = "payments"
    template["metadata"]["annotations"] = {"example.com/cost-center": "42"}
    template["spec"]["serviceAccountName"] = "puller"
    template["spec"]["containers"][0]["resources"] = RESOURCES
    template["spec"]["containers"][0]["livenessProbe"] = {"tcpSocket": {"port": 8080}}
    return web


def _account() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "puller"},
        "imagePullSecrets": [{"name": "registry"}],
    }


def _limit_range(**limits: Any) -> Manifest:
    spec = {"limits": [{"type": "Container", **limits}]}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": spec}


def _quota(**hard: str) -> Manifest:
    hard = {name.replace("_", "."): amount for name, amount in hard.items()}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": hard}}


@contextmanager
def _policy(cluster: Cluster, namespace: str, resource: str, *rules: tuple[str, str]) -> Iterator[None]:
    """A ValidatingAdmissionPolicy for one resource of a namespace, in force.

    Args:
        rules: an expression in CEL each, and what is said if it is false.
    """
    name = f"{namespace}-{resource}"
    api = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    validations = [{"expression": expression, "message": message} for expression, message in rules]
    policy = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [api]}, "validations": validations}
    there = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": there}}
    group = "admissionregistration.k8s.io/v1"
    objects = {"ValidatingAdmissionPolicy": policy, "ValidatingAdmissionPolicyBinding": binding}
    for kind, spec in objects.items():
        manifest = {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    try:
        wait_until(f"the policy for {resource}", lambda: _is_refused(cluster, namespace, resource), 30)
        yield
    finally:
        for kind in objects:
            cluster.kubectl("delete", kind.lower(), name, "--wait=false")


def _is_refused(cluster: Cluster, namespace: str, resource: str) -> bool:
    """Whether a bare object is refused."""
    kinds: dict[str, tuple[str, Manifest]] = {
        "pods": ("Pod", {"spec": pod_spec({"http": 8080})}),
        "secrets": ("Secret", {}),
    }
    kind, content = kinds[resource]
    if resource == "pods":
        content["spec"]["containers"][0]["name"] = "probe"
    manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "probe"}, **content}
    try:
        cluster.kubectl("create", "--dry-run=server", f"--namespace={namespace}", "-f", "-", stdin=json.dumps(manifest))
    except subprocess.CalledProcessError:
        return True
    return False


WANTED = (
    ("'team' in object.metadata.?labels.orValue({})", "every pod needs a label team"),
    ("'example.com/cost-center' in object.metadata.?annotations.orValue({})", "every pod needs its cost-center"),
    (EVERY_CONTAINER.format("has(container.livenessProbe)"), "every container needs a livenessProbe"),
)


def test_the_pod_follows_the_replaced_ones_in_what_policies_want(
    cluster: Cluster, namespace: str, sandbox: Sandbox
) -> None:
    narrow = _limit_range(min={"memory": "32Mi"}, max={"memory": "128Mi"}, maxLimitRequestRatio={"cpu": "2"})
    quota = _quota(limits_memory="224Mi")  # one pod, and one with two such containers
    secrets = ("has(object.metadata.labels) && 'team' in object.metadata.labels", "every Secret needs a label team")
    cluster.apply(namespace, _account(), narrow, quota, _web(), service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    with (
        _policy(cluster, namespace, "secrets", secrets),
        _policy(cluster, namespace, "pods", *WANTED),
        Local(sandbox) as local,
    ):
        argv = (f"{namespace}/web", f"--map={local.port}")
        done = expose(sandbox, *argv, "--keep", "--dry-run")  # first: a quota hears late of pods that are gone
        assert done.returncode == 0, done.stderr
        with Expose(sandbox, *argv) as command:
            command.wait_exposed()
            _check_follows(cluster, namespace)
            command.end()
    check_nothing_left(cluster, namespace)


def _check_follows(cluster: Cluster, namespace: str) -> None:
    (pod,) = cluster.get("pods", f"--namespace={namespace}", "--selector=kubectl-localize/session")["items"]
    assert [container["resources"] for container in pod["spec"]["containers"]] == [RESOURCES, RESOURCES]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["metadata"]["annotations"]["example.com/cost-center"] == "42"
    assert "sidecar.istio.io/inject" in pod["metadata"]["annotations"], "ours are there as well"


def test_a_refusal_says_what_helps_and_the_flags_do(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    web = deployment("web")
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": {"memory": "64Mi"}}
    cluster.apply(namespace, web, service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    with Local(sandbox) as local:

        def refused(message: str, hint: str, *argv: str) -> None:
            done = expose(sandbox, f"{namespace}/web", f"--map={local.port}", "--dry-run", *argv)
            assert_fails(done, f"does not take an exposure pod: .*{message}", hint)
            assert "--image" not in done.stderr or "--image" in hint, done.stderr

        def taken(*argv: str) -> None:
            done = expose(sandbox, f"{namespace}/web", f"--map={local.port}", "--dry-run", *argv)
            assert done.returncode == 0, done.stderr

        cluster.apply(namespace, _quota(**{"count/leases_coordination_k8s_io": "0"}))
        wait_until("the quota", lambda: _quota_counts(cluster, namespace, "count/leases.coordination.k8s.io"), 20)
        refused("leases.* is forbidden: exceeded quota: full", "have the quota raised")
        cluster.apply(namespace, _quota(pods="1"))
        wait_until("the quota", lambda: _quota_counts(cluster, namespace, "pods"), 20)
        refused("exceeded quota: full, requested: pods=1", "have the quota raised.*kubectl describe quota -n .* full")
        cluster.apply(namespace, _quota(limits_memory="128Mi", requests_storage="1Gi"))
        wait_until("the quota", lambda: _quota_counts(cluster, namespace, "limits.memory"), 20)
        refused("exceeded quota", "--requests and --limits ask for less")
        taken("--limits=memory=32Mi")
        cluster.kubectl("delete", "quota", "full", f"--namespace={namespace}")
        cluster.apply(namespace, _limit_range(max={"cpu": "400m"}))
        refused("maximum cpu usage per Container is 400m", "--requests and --limits.*kubectl describe limitrange")
        taken("--limits=cpu=400m")
        cluster.kubectl("delete", "limitrange", "limits", f"--namespace={namespace}")
        owned = ("'owner' in object.metadata.?labels.orValue({})", "every Secret needs a label owner")
        with _policy(cluster, namespace, "secrets", owned):
            refused("every Secret needs a label owner", "--labels change that")
            taken("--labels=owner=me")
        with _policy(cluster, namespace, "pods", ("!has(object.metadata.labels.app)", "no more of these")):
            done = expose(sandbox, f"{namespace}/web", f"--map={local.port}", "--dry-run")
            assert_fails(
                done, "the pods of Deployment .*/web would not come back: .*no more of these", "--keep.*--force"
            )
        ours = (
            EVERY_CONTAINER.format("container.name == 'http' || container.image.startsWith('ours/')"),
            "images of our registry only",
        )
        with _policy(cluster, namespace, "pods", ours):
            refused("images of our registry only", "--image and --failsafe-image change that")
        refused("service account", "there is no ServiceAccount nobody", "--failsafe-service-account=nobody")
    assert not leftovers(cluster, namespace)


def _quota_counts(cluster: Cluster, namespace: str, resource: str) -> bool:
    status = cluster.get("quota", "full", f"--namespace={namespace}").get("status") or {}
    return resource in (status.get("used") or {})
