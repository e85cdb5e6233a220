"""Documents as a supervisor writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from kubectl_localize import __version__

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
EIGHT_MINUTES_AGO = "2026-01-02T11:52:00Z"
TWO_MINUTES_AGO = "2026-01-02T11:58:00Z"


def port(number: int, target: int | str, **fields: Any) -> dict[str, Any]:
    """One port of a forward."""
    return {
        "name": "", "port": number, "localPort": number, "targetPort": target, "protocol": "TCP", "status": "Active",
        "reason": "", "connections": 0, "bytesIn": 0, "bytesOut": 0, "restarts": 0, "children": [], **fields,
    }  # fmt: skip


def child(pod: str) -> dict[str, Any]:
    """A child of a port."""
    return {"pod": pod, "pid": 4800, "connections": 1}


def forward(namespace: str, name: str, *ports: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A Forward item."""
    return {
        "kind": "Forward", "context": "kind-dev", "namespace": namespace, "name": name, "status": "Active",
        "reason": "", "address": "127.71.4.19", "pods": [], "hostnames": [name, f"{name}.{namespace}"],
        "ports": list(ports), "since": EIGHT_MINUTES_AGO, **fields,
    }  # fmt: skip


def exposure(namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    """An Exposure item."""
    return {
        "kind": "Exposure", "context": "kind-dev", "namespace": namespace, "name": name, "status": "Exposed",
        "reason": "", "pod": f"localize-{name}-x7k2p",
        "ports": [{"port": 80, "targetPort": 3000, "local": "127.0.0.1:3000", "connections": 0}],
        "workloads": [{"kind": "Deployment", "name": name, "replicas": 2}], "since": TWO_MINUTES_AGO, **fields,
    }  # fmt: skip


def document(*items: dict[str, Any], context: str = "kind-dev", pid: int = 4711, **fields: Any) -> dict[str, Any]:
    """A whole document with one supervisor; `fields` are the supervisor's."""
    return {
        "apiVersion": "localize/v1",
        "kind": "List",
        "supervisors": [
            {
                "context": context, "pid": pid, "startedAt": EIGHT_MINUTES_AGO, "version": __version__,
                "hosts": "written", "children": 3, **fields,
            }
        ],
        "items": [{**item, "context": context} for item in items],
    }  # fmt: skip


def webshop() -> dict[str, Any]:
    """The document behind the table in cli.md."""
    return document(
        forward("webshop", "web", port(80, 8080, children=[child("web-6767cc67f4-42xr6")]), port(443, 8443)),
        forward("webshop", "queue", port(5672, 5672), status="Waiting", reason="no Ready pod", address="127.83.10.7"),
        forward(
            "webshop", "dns", port(53, 53, protocol="UDP"),
            status="Skipped", reason="UDP cannot be forwarded", address="",
        ),
        forward("webshop", "cart", port(80, 80), status="Idle", address="127.66.14.2"),
        exposure("webshop", "cart"),
    )  # fmt: skip
