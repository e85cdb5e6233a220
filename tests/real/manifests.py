"""Kubernetes objects for tests: workloads that answer HTTP with their pod's name, and Services of every kind."""

from __future__ import annotations

import json
import os
from typing import Any

DEFAULT_IMAGE = "localhost/toolbox:1"

Manifest = dict[str, Any]

# What the pods run. Every answer has a Content-Length, since the end of a stream comes a second late through a kubelet,
# and is written at once: a pod that is killed between two parts of one leaves what nobody can ask for again.
# /           the pod's name                        /port      the port that was asked
# /bytes?n=N  N bytes                               /slow?s=S  the pod's name, after S seconds
# /who        pod and port in words
# /drip?n=N   N bytes, one each 0.1 s               POST       how many bytes the body had
SERVER = r"""
import http.server, os, signal, socketserver, sys, threading, time
from urllib.parse import urlsplit, parse_qs
NAME = os.environ["POD_NAME"]
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    def do_GET(self):
        url = urlsplit(self.path); ask = {k: v[0] for k, v in parse_qs(url.query).items()}
        if url.path == "/bytes" or url.path == "/drip":
            left = int(ask["n"]); self.send_response(200)
            self.send_header("Content-Length", str(left)); self.end_headers()
            size = 65536 if url.path == "/bytes" else 1; block = b"x" * size
            while left:
                self.wfile.write(block[:min(size, left)]); left -= min(size, left)
                if size == 1: time.sleep(0.1)
        elif url.path == "/who": self.answer(f"{NAME}, port {self.server.server_address[1]}".encode())
        elif url.path == "/port": self.answer(str(self.server.server_address[1]).encode())
        else:
            if url.path == "/slow": time.sleep(float(ask["s"]))
            self.answer(NAME.encode())
    def do_POST(self):
        left = int(self.headers["Content-Length"]); total = 0
        while total < left:
            block = self.rfile.read(min(65536, left - total))
            if not block: break
            total += len(block)
        self.answer(str(total).encode())
    def log_message(self, *words): pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True; request_queue_size = 1024
    def handle_error(self, request, address): pass
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for port in sys.argv[1:]:
    threading.Thread(target=Server(("", int(port)), Handler).serve_forever, daemon=True).start()
while True: signal.pause()
"""


def image() -> str:
    """The image of every test pod: with sh and Python 3."""
    return os.environ.get("LOCALIZE_TEST_IMAGE") or DEFAULT_IMAGE


def pod_spec(ports: dict[str, int], pre_stop_seconds: float = 0, grace_seconds: int = 2) -> Manifest:
    """A pod that serves HTTP on every port, by the ports' names, and is Ready as soon as the first one answers."""
    container: Manifest = {
        "name": "http",
        "image": image(),
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", SERVER, *(str(port) for port in ports.values())],
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "readinessProbe": {"tcpSocket": {"port": next(iter(ports.values()))}, "periodSeconds": 1},
    }
    if pre_stop_seconds:
        container["lifecycle"] = {"preStop": {"exec": {"command": ["sleep", str(pre_stop_seconds)]}}}
    return {"terminationGracePeriodSeconds": grace_seconds, "containers": [container]}


def deployment(name: str, replicas: int = 1, port: int = 8080, pre_stop_seconds: float = 0, **ports: int) -> Manifest:
    """A Deployment with the label app=NAME; its port is called `http`, further ones come by name."""
    grace_seconds = 2 + int(pre_stop_seconds)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": pod_spec({"http": port, **ports}, pre_stop_seconds, grace_seconds),
            },
        },
    }


def statefulset(name: str, replicas: int = 2, port: int = 8080) -> Manifest:
    """A StatefulSet whose governing Service has the same name; make that one with headless()."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "serviceName": name,
            "replicas": replicas,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec({"http": port})},
        },
    }


def service(name: str, ports: dict[int, int | str] | None = None, app: str | None = None, **spec: Any) -> Manifest:
    """A Service from its ports to target ports (80 to `http` by default) on the pods with app=APP (its own name)."""
    pairs = ports or {80: "http"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": app or name},
            "ports": [{"name": f"p{port}", "port": port, "targetPort": target} for port, target in pairs.items()],
            **spec,
        },
    }


def headless(name: str, ports: dict[int, int | str] | None = None, app: str | None = None) -> Manifest:
    """A headless Service."""
    return service(name, ports or {8080: "http"}, app, clusterIP="None")


def without_ports(name: str, app: str) -> Manifest:
    """A headless Service without ports on the pods with app=APP."""
    spec = {"clusterIP": "None", "selector": {"app": app}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def external_name(name: str, target: str) -> Manifest:
    """A Service that is only another name."""
    spec = {"type": "ExternalName", "externalName": target}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def udp(name: str, port: int = 53) -> Manifest:
    """A Service that speaks UDP."""
    ports = [{"name": "udp", "protocol": "UDP", "port": port}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def as_list(*manifests: Manifest) -> str:
    """Several objects as one document for `kubectl apply -f -`."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
