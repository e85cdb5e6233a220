"""An API server that means no good: it answers kubectl, and puts what steers a terminal wherever text can be."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]

EVIL = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\u2066\u200b\r\nforged   line\x00\x7f\u2028" + "long" * 20_000
NAMESPACE = "shop"
OWNER = {
    "user": EVIL, "login": EVIL, "machine": EVIL, "pid_namespace": EVIL, "uid": 0, "pid": 1, "started": 1.0,
}  # fmt: skip


def _service(name: str, namespace: str = NAMESPACE, **spec: Any) -> Json:
    ports = [{"name": "http", "port": 7080, "targetPort": "http"}, {"port": 53, "protocol": "UDP"}]
    metadata = {"name": name, "namespace": namespace, "labels": {EVIL: EVIL, "app": name}, "annotations": {EVIL: EVIL}}
    return {
        "metadata": metadata,
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app": EVIL}, "ports": ports, **spec},
    }  # fmt: skip


SERVICES = [
    _service("web"),
    _service("external", type="ExternalName", externalName=EVIL),
    _service("odd", type=EVIL),
    _service("headless", clusterIP="None"),
    _service("name", ports=[{"name": EVIL, "port": 80}]),
    _service("target", ports=[{"port": 80, "targetPort": EVIL}]),
    _service("protocol", ports=[{"port": 80, "protocol": EVIL}]),
    _service("number", ports=[{"port": EVIL}]),
    _service(EVIL),
    _service("../../etc"),
    _service("$(touch$IFS/tmp/owned)"),
    _service("web", namespace=EVIL),
]
SLICES = [
    {
        "metadata": {"name": EVIL, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": name}},
        "ports": [{"name": EVIL, "port": 8081}, {"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [EVIL], "hostname": EVIL, "targetRef": {"kind": "Pod", "name": pod, "namespace": EVIL}}
            for pod in ("web-1", EVIL)
        ],
    }
    for name in ("web", "headless", EVIL)
]
LEASES = [
    {
        "metadata": {
            "name": "localize-deployment-web", "namespace": namespace, "uid": "u", "resourceVersion": "1",
            "labels": {"app.kubernetes.io/managed-by": "kubectl-localize", "kubectl-localize/session": "abc123"},
            "annotations": {"kubectl-localize/journal": json.dumps({
                "version": 1, "session": "abc123", "owner": OWNER, "uid": EVIL, "replicas": 2,
                "services": ["shop/web"],
                "workload": {"api_version": "apps/v1", "kind": "Deployment", "name": "web", "namespace": NAMESPACE},
            })},
        },
        "spec": {"holderIdentity": EVIL, "acquireTime": "2026-01-01T00:00:00", "renewTime": "2026-01-01T00:00:00"},
    }
    for namespace in (NAMESPACE, EVIL)
]  # fmt: skip
LISTS = {"/api/v1/services": SERVICES, "/leases": LEASES, "/endpointslices": SLICES}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if "watch" in parse_qs(url.query):
            event = {"type": "ERROR", "object": _status(500)}
            self._answer(200, json.dumps(event).encode() + b"\n")
        elif url.path == "/version":
            self._answer(200, json.dumps({"major": EVIL, "minor": EVIL, "gitVersion": f"v1.30.0{EVIL}"}).encode())
        else:
            items = next((items for end, items in LISTS.items() if url.path.endswith(end)), None)
            if items is None:
                self._refuse()
            else:
                self._answer(200, json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode())

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(403, json.dumps(_status(403)).encode())

    do_POST = do_PUT = do_PATCH = do_DELETE = _refuse  # noqa: N815

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _status(code: int) -> Json:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": EVIL, "reason": EVIL, "code": code}


@contextmanager
def hostile_server() -> Iterator[str]:
    """The URL of such a server, for as long as the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(url: str) -> str:
    """A kubeconfig for it, whose own names are no better."""
    name = f"hostile{EVIL[:60]}".replace("\0", "")
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": NAMESPACE}}],
        "clusters": [{"name": name, "cluster": {"server": url}}],
        "users": [{"name": name, "user": {}}],
    }  # fmt: skip
    return json.dumps(config)
