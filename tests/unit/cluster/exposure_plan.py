"""An exposure's plan for tests: the Service shop/cart on a Deployment of two."""

from __future__ import annotations

from typing import Any

from kubectl_localize.cluster.exposing.values import (
    CarriedPort,
    ExposurePlan,
    FailsafePlan,
    Provenance,
    Workload,
    WorkloadRef,
)
from kubectl_localize.model import ServiceKey

REF = WorkloadRef("apps/v1", "Deployment", "shop", "cart")
CART = ServiceKey("shop", "cart")
ABOUT = Provenance("alice", "alice@laptop", "2026-01-31T12:00:00Z", "kubectl scale …")
SECRET = ("localize-cart", "5d5c8ea1")
FAILSAFE = FailsafePlan(600, "image-with-curl", "localize-failsafe-abc12", True, ((REF, 2),))


def carried(number: int, *names: str) -> CarriedPort:
    """A port of the exposure pod."""
    return CarriedPort(number, names, "127.0.0.1", 3000, ((CART, 80),))


def plan(*, template: dict[str, Any] | None = None, **changes: Any) -> ExposurePlan:
    """The plan, changed."""
    replaced = {"spec": template or {}}
    workload = Workload(REF, "7c7c", 2, {"spec": {"replicas": 2, "template": replaced}})
    fields: dict[str, Any] = {
        "namespace": "shop",
        "services": (CART,),
        "workloads": (workload,),
        "replaced": replaced,
        "labels": (("app", "cart"),),
        "ports": (carried(8080, "http"),),
        "sshd_port": 2222,
        "heartbeat_port": 2223,
        "image": "image-with-sshd",
        "session": "abc12",
    }
    return ExposurePlan(**{**fields, **changes})
