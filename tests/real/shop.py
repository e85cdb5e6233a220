"""A namespace full of Services that tests look at and do not change: one for each worker."""

from __future__ import annotations

from dataclasses import dataclass

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import (
    Manifest,
    deployment,
    external_name,
    headless,
    pod_spec,
    service,
    statefulset,
    udp,
    without_ports,
)

HTTP, ADMIN = 18080, 18081  # what web's pods listen on; nothing else of the machine does, so headless Services can, too


@dataclass(frozen=True)
class Shop:
    """Where it is.

    Args:
        namespace: the Services of every kind.
        other: a second namespace, which has a Service `web`, too, and `lone`, which is nowhere else.
    """

    namespace: str
    other: str

    def url(self, service: str, port: int, path: str = "/") -> str:
        """A Service's port by `svc.ns`."""
        return f"http://{service}.{self.namespace}:{port}{path}"


def labelled(name: str, app: str, ports: dict[str, int]) -> Manifest:
    """A Deployment whose pods carry app=APP beside others that do; a label of their own keeps the two apart."""
    labels = {"app": app, "part": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(ports)},
        },
    }


def slice_of(service: str, pod: str, address: str, namespace: str, port: int) -> Manifest:
    """A handmade EndpointSlice that gives a Service without selector a pod."""
    target = {"kind": "Pod", "name": pod, "namespace": namespace}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-by-hand", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}, "targetRef": target}],
    }


def without_selector(name: str, port: int, target: int) -> Manifest:
    """A Service whose endpoints somebody else names; its only port has no name."""
    spec = {"ports": [{"port": port, "targetPort": target}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def with_protocols(name: str, app: str, *ports: tuple[int, str, int]) -> Manifest:
    """A Service of (port, protocol, target port)."""
    listed = [
        {"name": f"{protocol.lower()}-{port}", "port": port, "protocol": protocol, "targetPort": target}
        for port, protocol, target in ports
    ]
    spec = {"selector": {"app": app}, "ports": listed}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def open_shop(cluster: Cluster, namespace: str, other: str) -> Shop:
    """Fill two namespaces and wait until every pod in them is Ready."""
    cluster.apply(
        namespace,
        deployment("web", replicas=2, port=HTTP, admin=ADMIN),
        service("web", {7080: "http", 7081: "admin", 7082: HTTP}),
        service("node-port", {7080: "http"}, "web", type="NodePort"),
        service("balanced", {7080: "http"}, "web", type="LoadBalancer"),
        headless("web-pods", {7080: "http"}, "web"),
        statefulset("db", replicas=2, port=17432),
        headless("db", {17432: "http"}),
        labelled("odd", "mixed", {"http": 18001}),
        labelled("even", "mixed", {"http": 18002}),
        service("mixed", {7080: "http"}),
        without_selector("by-hand", 7080, HTTP),
        without_selector("by-nobody", 7080, HTTP),
        udp("dns"),
        with_protocols("sctp", "web", (7000, "SCTP", 7000)),
        with_protocols("both", "web", (7080, "TCP", HTTP), (7080, "UDP", HTTP)),
        external_name("elsewhere", "example.org"),
        external_name("alias", f"web.{namespace}.svc.cluster.local."),
        external_name("alias-of-alias", f"alias.{namespace}.svc.cluster.local"),
        external_name("alias-of-pod", f"db-0.db.{namespace}.svc.cluster.local"),
        external_name("across", f"lone.{other}.svc.cluster.local"),
        external_name("circle", f"circle.{namespace}.svc.cluster.local"),
        service("sticky", {7080: "http"}, "web", sessionAffinity="ClientIP"),
        without_ports("web-all", "web"),
        service("empty", {7080: 8080}),
    )
    cluster.apply(
        other,
        deployment("web", port=HTTP),
        service("web", {7080: "http"}),
        service("lone", {7080: "http"}, "web"),
    )
    cluster.wait_ready(namespace, "deployment/web", "statefulset/db", "deployment/odd", "deployment/even")
    cluster.wait_ready(other, "deployment/web")
    pod = cluster.pods(namespace, "web")[0]
    address = cluster.get("pod", pod, f"--namespace={namespace}")["status"]["podIP"]
    cluster.apply(namespace, slice_of("by-hand", pod, address, namespace, HTTP))
    # The slices follow the pods a moment later.
    wait_until("slices", lambda: _endpoints(cluster, namespace) >= 21 and _endpoints(cluster, other) >= 2)
    return Shop(namespace, other)


def _endpoints(cluster: Cluster, namespace: str) -> int:
    """How many endpoints of the namespace's slices are Ready."""
    slices = cluster.get("endpointslices", f"--namespace={namespace}")["items"]
    endpoints = [endpoint for found in slices for endpoint in found.get("endpoints") or ()]
    return sum(bool(endpoint["conditions"].get("ready")) for endpoint in endpoints)
