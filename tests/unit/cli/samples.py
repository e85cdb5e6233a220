"""Documents as a supervisor writes them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kubectl_localize import __version__
from kubectl_localize.ls_document import (
    ExposureItem,
    ExposurePort,
    ForwardItem,
    ForwardPort,
    HostsState,
    Item,
    LsDocument,
    PortChild,
    Status,
    SupervisorItem,
    WorkloadItem,
)

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
EIGHT_MINUTES_AGO = "2026-01-02T11:52:00Z"
TWO_MINUTES_AGO = "2026-01-02T11:58:00Z"


def port(number: int, target: int | str, **fields: Any) -> ForwardPort:
    """One port of a forward."""
    return replace(ForwardPort("", number, number, target, "TCP", Status.ACTIVE), **fields)


def child(pod: str) -> PortChild:
    """A child of a port."""
    return PortChild(pod, 4800, 1)


def forward(namespace: str, name: str, *ports: ForwardPort, **fields: Any) -> ForwardItem:
    """A forward."""
    item = ForwardItem(
        "kind-dev",
        namespace,
        name,
        Status.ACTIVE,
        address="127.71.4.19",
        hostnames=(name, f"{name}.{namespace}"),
        ports=ports,
        since=EIGHT_MINUTES_AGO,
    )
    return replace(item, **fields)


def exposure(namespace: str, name: str, **fields: Any) -> ExposureItem:
    """An exposure."""
    item = ExposureItem(
        "kind-dev",
        namespace,
        name,
        Status.EXPOSED,
        pod=f"localize-{name}-x7k2p",
        ports=(ExposurePort(80, 3000, "127.0.0.1:3000"),),
        workloads=(WorkloadItem("Deployment", name, 2),),
        since=TWO_MINUTES_AGO,
    )
    return replace(item, **fields)


def document(*items: Item, context: str = "kind-dev", pid: int = 4711, **fields: Any) -> LsDocument:
    """A document with one supervisor; `fields` are the supervisor's."""
    supervisor = SupervisorItem(context, pid, EIGHT_MINUTES_AGO, __version__, HostsState.WRITTEN, 3)
    return LsDocument((replace(supervisor, **fields),), tuple(replace(item, context=context) for item in items))


def webshop() -> LsDocument:
    """The document behind the table in cli.md."""
    return document(
        forward("webshop", "web", port(80, 8080, children=(child("web-6767cc67f4-42xr6"),)), port(443, 8443)),
        forward(
            "webshop", "queue", port(5672, 5672),
            status=Status.WAITING, reason="no Ready pod", address="127.83.10.7",
        ),
        forward(
            "webshop", "dns", port(53, 53, protocol="UDP"),
            status=Status.SKIPPED, reason="UDP cannot be forwarded", address="",
        ),
        forward("webshop", "cart", port(80, 80), status=Status.IDLE, address="127.66.14.2"),
        exposure("webshop", "cart"),
    )  # fmt: skip
