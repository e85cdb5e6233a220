"""The Events by which `kubectl describe service` says who exposes a Service; pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kubectl_localize.cluster.exposing.values import MANAGED_BY, MANAGED_BY_LABEL, SESSION_LABEL, Provenance

EXPOSED = "Exposed"
RESTORED = "Restored"

Json = dict[str, Any]


def collection(namespace: str) -> str:
    """The path of a namespace's Events."""
    return f"/api/v1/namespaces/{namespace}/events"


def exposed(service: Mapping[str, Any], session: str, about: Provenance, pod: str, now: datetime) -> Json:
    """The Event that says who exposes a Service.

    Args:
        service: as it came from the API.
        pod: the exposure pod.
    """
    name = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
    return _event(
        service,
        session,
        EXPOSED,
        f"Its traffic goes to {about.origin}, by pod {pod}: exposed by {about.owner} since {about.since}."
        f" `kubectl localize expose --stop {name}` there ends it.",
        now,
    )


def restored(service: Mapping[str, Any], session: str, about: Provenance, now: datetime) -> Json:
    """The Event that says that a Service is not exposed any more."""
    return _event(service, session, RESTORED, f"Its traffic does not go to {about.origin} any more.", now)


def _event(service: Mapping[str, Any], session: str, reason: str, message: str, now: datetime) -> Json:
    """An Event about a Service (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/).

    It is of `v1`, whose fields `kubectl describe` reads in every version.
    """
    meta = service["metadata"]
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "generateName": f"{meta['name'][:200]}.localize-",
            "namespace": meta["namespace"],
            "labels": {MANAGED_BY_LABEL: MANAGED_BY, SESSION_LABEL: session},
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Service",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
        "type": "Normal",
        "reason": reason,
        "message": message,
        "source": {"component": "kubectl-localize"},
        "reportingComponent": "kubectl-localize",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
