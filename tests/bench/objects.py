"""What the bench puts into the cluster: so many Services on so many pods, and one pod that answers at once."""

from __future__ import annotations

from dataclasses import dataclass

from tests.real.manifests import Manifest, image, service

FIRST_TARGET = 7000
DOWNLOAD, ECHO = 7001, 7002

# Each port answers HTTP by itself; busybox's httpd goes to the background and needs next to no memory.
SMALL = 'mkdir -p /tmp/www; for port in "$@"; do busybox httpd -p "$port" -h /tmp/www; done; exec sleep 2147483647'

# 7001: eight bytes say how many bytes come back. 7002: what is sent comes back.
FAST = r"""
import os, signal, socket, struct, threading
BLOCK = memoryview(bytes(1 << 20))
def download(connection):
    while asked := connection.recv(8, socket.MSG_WAITALL):
        left = struct.unpack("!Q", asked)[0]
        while left:
            left -= connection.send(BLOCK[:min(left, len(BLOCK))])
def echo(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while block := connection.recv(65536):
        connection.sendall(block)
def serve(port, answer):
    listener = socket.create_server(("", port), backlog=1024)
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for port, answer in ((7001, download), (7002, echo)):
    threading.Thread(target=serve, args=(port, answer), daemon=True).start()
while True: signal.pause()
"""


def _pod(name: str, command: list[str], first_port: int) -> Manifest:
    container = {
        "name": "main",
        "image": image(),
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "readinessProbe": {"tcpSocket": {"port": first_port}, "periodSeconds": 2},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, "bench": "yes"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "containers": [container],
        },
    }


@dataclass(frozen=True)
class Services:
    """A namespace with `count` Services on `pods` pods, and the Service and pod `fast`."""

    namespace: str
    count: int
    pods: int


def pods(services: Services) -> list[Manifest]:
    """The pods: each listens on as many ports as there are Services for each pod."""
    ports = range(FIRST_TARGET, FIRST_TARGET + max(1, services.count // services.pods))
    small = ["sh", "-c", SMALL, "sh", *map(str, ports)]
    fast = _pod("fast", ["python3", "-c", FAST], DOWNLOAD)
    return [fast, *(_pod(f"pod-{number}", small, FIRST_TARGET) for number in range(services.pods))]


def port_of(number: int) -> int:
    """A Service's port: every fifth has 80, which needs privileges, all others one of their own."""
    return 80 if number % 5 == 0 else 10000 + number


def services(wanted: Services) -> list[Manifest]:
    """The Services. Each has a pod's port that no other Service has."""
    small = [
        service(
            f"svc-{number}",
            {port_of(number): FIRST_TARGET + number // wanted.pods},
            app=f"pod-{number % wanted.pods}",
        )
        for number in range(wanted.count)
    ]
    return [service("fast", {DOWNLOAD: DOWNLOAD, ECHO: ECHO}), *small]
