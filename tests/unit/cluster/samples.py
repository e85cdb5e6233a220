"""What real kubectl (1.27 to 1.33) and API servers (1.35) printed, shortened only where it is long."""

from __future__ import annotations

import json
from typing import Any

from kubectl_localize.model import Connection

CONNECTION = Connection(
    kubectl="/usr/bin/kubectl",
    kubeconfig=("/home/ada/.kube/config",),
    context="dev",
    namespace="shop",
    server="https://10.113.0.2:6443",
)

# -- kubectl port-forward, stderr -------------------------------------------------------------------------------------
REFUSED_27 = (
    "E1123 01:22:29.168934   18596 portforward.go:409] an error occurred forwarding 46311 -> 9999: error forwarding"
    " port 9999 to pod 243ae368f59d, uid : failed to execute portforward in network namespace"
    ' "/run/containerd/io.containerd.grpc.v1.cri/netns/cni-32e6e97e": failed to connect to localhost:9999 inside'
    ' namespace "243ae368f59d", IPv4: dial tcp4 127.0.0.1:9999: connect: connection refused IPv6 dial tcp6: address'
    " localhost: no suitable address found "
)
REFUSED_33 = (
    'E1123 01:22:45.414163   27920 portforward.go:424] "Unhandled Error" err="an error occurred forwarding 33871 ->'
    " 9999: error forwarding port 9999 to pod 243ae368f59d, uid : failed to execute portforward in network namespace"
    ' \\"/run/containerd/io.containerd.grpc.v1.cri/netns/cni-32e6e97e\\": failed to connect to localhost:9999 inside'
    ' namespace \\"243ae368f59d\\", IPv4: dial tcp4 127.0.0.1:9999: connect: connection refused IPv6 dial tcp6:'
    ' address localhost: no suitable address found "'
)
RESET_33 = (  # the pod took the connection, read the request, and reset it
    'E1123 01:22:48.635661   28623 portforward.go:424] "Unhandled Error" err="an error occurred forwarding 35975 ->'
    " 9001: error forwarding port 9001 to pod 243ae368f59d, uid : failed to execute portforward in network namespace"
    ' \\"/run/containerd/io.containerd.grpc.v1.cri/netns/cni-32e6e97e\\": read tcp4 127.0.0.1:36230->127.0.0.1:9001:'
    ' read: connection reset by peer"'
)
POD_GONE_33 = (
    'E1123 01:24:36.689744    7634 portforward.go:424] "Unhandled Error" err="an error occurred forwarding 35979 ->'
    " 9003: error forwarding port 9003 to pod 9bcb2fafe2fd, uid : network namespace for sandbox"
    ' \\"9bcb2fafe2fd\\" is closed"'
)
LOST = "error: lost connection to pod"
NO_POD = 'Error from server (NotFound): pods "gone" not found'

# -- kubectl get --raw, stderr ----------------------------------------------------------------------------------------
NO_NAMESPACE = 'Error from server (NotFound): namespaces "nosuch" not found'
FORBIDDEN = (
    'Error from server (Forbidden): services is forbidden: User "nobody" cannot list resource "services" in API group'
    ' "" at the cluster scope'
)
UNAUTHORIZED = "error: You must be logged in to the server (Unauthorized)"
PLUGIN_FAILED = "Unable to connect to the server: getting credentials: exec: executable false failed with exit code 1"
CLOSED_PORT = "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?"
NO_ROUTE = "Unable to connect to the server: dial tcp 10.113.0.77:6443: i/o timeout"
NO_ANSWER = (
    "Unable to connect to the server: net/http: request canceled while waiting for connection (Client.Timeout exceeded"
    " while awaiting headers)"
)
NO_HOST = "Unable to connect to the server: dial tcp: lookup nosuch.invalid on 10.255.255.53:53: no such host"
BAD_SELECTOR = (
    "Error from server (BadRequest): unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
)
NEW_LEADER = "Error from server: etcdserver: leader changed"
SLOW_ETCD = "Error from server: etcdserver: request timed out"
INTERNAL = 'Error from server (InternalError): an error on the server ("") has prevented the request from succeeding'
WEBHOOK_AWAY = (
    'Error from server (InternalError): Internal error occurred: failed calling webhook "x.example.com": no endpoints'
    ' available for service "hook"'
)
DENIED_BY_WEBHOOK = (
    'Error from server: admission webhook "x.example.com" denied the request: nothing is scaled on a Friday'
)
OVERLOADED = (
    "Error from server (TooManyRequests): the server has received too many requests and has asked us to try again later"
)
SERVER_TIMEOUT = "Error from server (Timeout): Timeout: request did not complete within the allotted timeout"
EXPIRED = "Error from server (Expired): The resourceVersion for the provided list is too old."

# -- kubectl get --raw '…/services?watch=1&allowWatchBookmarks=true&resourceVersion=…', stdout ------------------------
BOOKMARK = (
    '{"type":"BOOKMARK","object":{"kind":"Service","apiVersion":"v1","metadata":{"resourceVersion":"4947"},"spec":{},'
    '"status":{"loadBalancer":{}}}}\n'
)
TOO_OLD = (
    '{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"The'
    ' resourceVersion for the provided watch is too old.","reason":"Expired","code":410}}\n'
)

SERVICE: dict[str, Any] = {
    "kind": "Service",
    "apiVersion": "v1",
    "metadata": {
        "name": "odd",
        "namespace": "samples",
        "uid": "592e3a75-b187-4ba7-8ad7-a2a84e93a4f3",
        "resourceVersion": "2965",
        "creationTimestamp": "2026-11-23T01:23:12Z",
        "labels": {"app": "odd"},
    },
    "spec": {
        "ports": [{"name": "80-9003", "protocol": "TCP", "port": 80, "targetPort": 9003}],
        "selector": {"app": "odd"},
        "clusterIP": "10.96.22.13",
        "clusterIPs": ["10.96.22.13"],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    },
    "status": {"loadBalancer": {}},
}

ENDPOINT: dict[str, Any] = {
    "addresses": ["10.244.0.8"],
    "conditions": {"ready": True, "serving": True, "terminating": False},
    "nodeName": "node",
    "targetRef": {
        "kind": "Pod",
        "name": "web-2cvml",
        "namespace": "try",
        "uid": "4d96e5b2-38e5-457f-9b58-bb5ab9ab2e24",
    },
}

SLICE: dict[str, Any] = {
    "addressType": "IPv4",
    "apiVersion": "discovery.k8s.io/v1",
    "kind": "EndpointSlice",
    "metadata": {
        "generateName": "web-",
        "generation": 13,
        "labels": {
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            "kubernetes.io/service-name": "web",
        },
        "name": "web-754nw",
        "namespace": "try",
        "resourceVersion": "1642",
    },
    "endpoints": [ENDPOINT],
    "ports": [{"name": "nothing", "port": 9999, "protocol": "TCP"}, {"name": "http", "port": 8080, "protocol": "TCP"}],
}


def service_item(name: str, version: int, namespace: str = "samples") -> dict[str, Any]:
    """The Service above with another name and version."""
    meta = {**SERVICE["metadata"], "name": name, "namespace": namespace, "resourceVersion": str(version)}
    return {**SERVICE, "metadata": meta}


def event(kind: str, item: dict[str, Any]) -> str:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": item}, separators=(",", ":")) + "\n"


def page(*items: dict[str, Any], version: int, token: str = "") -> dict[str, Any]:
    """The answer to a list request."""
    meta = {"resourceVersion": str(version), **({"continue": token} if token else {})}
    return {"kind": "ServiceList", "apiVersion": "v1", "metadata": meta, "items": list(items)}
