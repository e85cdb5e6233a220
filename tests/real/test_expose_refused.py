"""What `kubectl localize expose` refuses: one error and one hint, and the cluster is as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.real.cluster import Cluster
from tests.real.exposing import Local, expose, leftovers
from tests.real.manifests import Manifest, deployment, external_name, pod_spec, service, statefulset, udp
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox

Labels = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One thing that is refused.

    Args:
        manifests: what is made for it, besides the Service `web` and its Deployment.
        name: the Service that is named.
        message, hint: patterns for the two lines.
        argv: further flags; without `--map` the local process is at the Service's only port.
        listens: whether there is a local process.
    """

    message: str
    hint: str
    manifests: tuple[Manifest, ...] = ()
    name: str = "web"
    argv: tuple[str, ...] = ()
    listens: bool = True


def _template(labels: Labels) -> Manifest:
    return {"metadata": {"labels": labels}, "spec": pod_spec({"http": 8080})}


def _daemon_set(name: str) -> Manifest:
    spec = {"selector": {"matchLabels": {"app": name}}, "template": _template({"app": name})}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name}, "spec": spec}


def _pod(name: str) -> Manifest:
    pod = _template({"app": name})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **pod["metadata"]}, "spec": pod["spec"]}


def _autoscaler(target: str, **labels: str) -> Manifest:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "auto", "labels": labels},
        "spec": {"scaleTargetRef": reference, "maxReplicas": 3},
    }


def _changed(manifest: Manifest, part: str, **values: Any) -> Manifest:
    manifest[part].update(values)
    return manifest


def _alone(workload: Manifest) -> Manifest:
    """The workload, its pods alone on each node."""
    rule = {"topologyKey": "kubernetes.io/hostname", "labelSelector": workload["spec"]["selector"]}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [rule]}}
    workload["spec"]["template"]["spec"]["affinity"] = affinity
    return workload


_RETENTION = {"whenScaled": "Delete", "whenDeleted": "Retain"}
_TRACKED = {"annotations": {"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:x/web"}}

CASES = {
    "nothing listens": Case(
        r"nothing listens on 127\.0\.0\.1:\d+, where port 80 of [^ ]+/web would lead", "--map.*--force", listens=False
    ),
    "unknown Service": Case("there is no Service wbe in namespace", "did you mean web", name="wbe"),
    "unknown port": Case("--map names port 99, but .*/web has no such TCP port", "80", argv=("--map=1:99",)),
    "no selector": Case(
        "has no selector", "kubectl get services", (_changed(service("bare"), "spec", selector=None),), "bare"
    ),
    "another name": Case("is of type ExternalName", "", (external_name("alias", "example.com"),), "alias"),
    "only UDP": Case("has no TCP port", "TCP", (udp("dns"), deployment("dns")), "dns"),
    "no pods": Case("has no pods", "kubectl get pods", (service("empty"),), "empty"),
    "scaled to zero": Case("has no pods", "kubectl get pods", (service("zero"), deployment("zero", 0)), "zero"),
    "a DaemonSet": Case("DaemonSet agent", "--keep", (_daemon_set("agent"), service("agent")), "agent"),
    "a bare pod": Case(r"no owner \(pod single\)", "--keep", (_pod("single"), service("single")), "single"),
    "an autoscaler": Case("HorizontalPodAutoscaler auto scales Deployment", "--force", (_autoscaler("web"),)),
    "KEDA": Case("KEDA scales Deployment", "--force", (_autoscaler("web", **{"scaledobject.keda.sh/name": "queue"}),)),
    "Argo CD": Case("managed by Argo CD", "--force", (_changed(deployment("web"), "metadata", **_TRACKED),)),
    "volumes that would go": Case(
        "would delete its volumes",
        "--keep",
        (
            _changed(statefulset("db", 1), "spec", persistentVolumeClaimRetentionPolicy=_RETENTION),
            service("db"),
        ),
        "db",
        ("--force",),  # not even with it
    ),
    "pods that are not Ready": Case(
        "peers sends to pods that are not Ready",
        "--keep",
        (service("peers", app="web", clusterIP="None", publishNotReadyAddresses=True),),
    ),
    "pods that want a node each": Case(
        "no node takes the exposure pod: .*anti-affinity rules",
        "the workload's pods share a node with none that has their labels: .*expose t-.*/web --map=.* --keep",
        (_alone(deployment("web")),),
    ),
    "a quota": Case(
        "does not take an exposure pod: .*exceeded quota",
        "quota",
        (
            {
                "apiVersion": "v1",
                "kind": "ResourceQuota",
                "metadata": {"name": "full"},
                "spec": {"hard": {"count/secrets": "0"}},
            },
        ),
    ),
    "admission": Case(
        "does not take an exposure pod: .*maximum memory usage per Container is 1Mi",
        "admission",
        (
            {
                "apiVersion": "v1",
                "kind": "LimitRange",
                "metadata": {"name": "tight"},
                "spec": {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]},
            },
        ),
    ),
    "a failsafe without rights": Case(
        "the failsafe could not bring back what it guards: .*error: 403",
        "--failsafe off",
        ({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "powerless"}},),
        argv=("--failsafe-service-account=powerless",),
    ),
    "no such image": Case(
        r"localhost/nothing:1 cannot be pulled: \S+.*; everything is put back",
        "--image",
        argv=("--image=localhost/nothing:1",),
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_it_is_refused_and_nothing_has_changed(what: str, cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    case = CASES[what]
    others = [one["metadata"]["name"] for one in case.manifests if one["kind"] == "Deployment"]
    web = () if "web" in others else (deployment("web"),)
    workloads = [one for one in (*web, *case.manifests) if one["kind"] in ("Deployment", "DaemonSet", "StatefulSet")]
    cluster.apply(namespace, *workloads, service("web"))
    for one in workloads:
        cluster.wait_ready(namespace, f"{one['kind'].lower()}/{one['metadata']['name']}")
    rest = [one for one in case.manifests if one not in workloads]  # a quota, say, that would refuse their pods, too
    if rest:
        cluster.apply(namespace, *rest)
    before = _specifications(cluster, namespace)
    with Local(sandbox) as local:
        if not case.listens:
            local.stop()
        maps = () if any(word.startswith("--map") for word in case.argv) else (f"--map={local.port}",)
        done = expose(sandbox, f"{namespace}/{case.name}", *maps, *case.argv)
    assert_fails(done, case.message, case.hint)
    assert not leftovers(cluster, namespace)
    assert _specifications(cluster, namespace) == before


def _specifications(cluster: Cluster, namespace: str) -> list[tuple[str, int]]:
    """All objects that could be changed; the generation grows with every change of what is wanted."""
    kinds = "deployments,statefulsets,daemonsets,services,pods,secrets,leases,horizontalpodautoscalers"
    items = cluster.get(kinds, f"--namespace={namespace}")["items"]
    return sorted(
        (f"{one['kind']}/{one['metadata']['name']}", int(one["metadata"].get("generation") or 0)) for one in items
    )
