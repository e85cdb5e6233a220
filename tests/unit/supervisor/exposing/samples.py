"""Journals, and what a session leaves in the cluster, for the tests of this folder."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kubectl_localize.cluster.exposing import journal
from kubectl_localize.cluster.exposing.journal import Entry, Owner
from kubectl_localize.cluster.exposing.values import MANAGED_BY, MANAGED_BY_LABEL, SESSION_LABEL, WorkloadRef
from kubectl_localize.host.identity import Here
from tests.unit.fakes.cluster import CORE, Cluster

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
HERE = Here("ada@laptop", "machine", 1000, 4711, 5000.0, "boot pid:[1]")
OWNER = Owner("ada", "ada@laptop", "machine", 1000, 4711, 5000.0, "boot pid:[1]")
POD = f"{CORE}/pods/localize-cart-abc12"
SECRET = f"{CORE}/secrets/localize-abc12"


def entry(name: str = "cart", **changes: Any) -> Entry:
    """The journal of a Deployment of two."""
    given = Entry(
        owner=OWNER,
        session="abc12",
        workload=WorkloadRef("apps/v1", "Deployment", "shop", name),
        uid=f"{name}-uid",
        replicas=2,
        services=("shop/cart",),
        since=NOW,
        renewed=NOW,
    )
    return replace(given, **changes)


def write(cluster: Cluster, one: Entry) -> None:
    """Put a journal into the cluster."""
    cluster.put(one.path, journal.manifest(one))


def write_unreadable(cluster: Cluster, one: Entry) -> None:
    """Put a journal into the cluster that a later version of ours has written."""
    lease = journal.manifest(one)
    content = json.loads(lease["metadata"]["annotations"][journal.ANNOTATION])
    lease["metadata"]["annotations"][journal.ANNOTATION] = json.dumps({**content, "version": journal.VERSION + 1})
    cluster.put(one.path, lease)


def labels(session: str = "abc12") -> dict[str, str]:
    """What every object of a session carries."""
    return {MANAGED_BY_LABEL: MANAGED_BY, SESSION_LABEL: session}


def exposure_pod(ready: bool = True) -> dict[str, Any]:
    """An exposure pod."""
    status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    return {"metadata": {"labels": labels()}, "status": status}
