"""What an exposure does to the endpoints of a namespace's Services, also to those that nobody has asked for; pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from kubectl_localize.cluster.exposing.blockers import FORCE_OR_KEEP, Blocker
from kubectl_localize.cluster.objects import SERVICE_NAME_LABEL

SHOWN = 5  # names in one sentence

Json = dict[str, Any]


def bereft(slices: Sequence[Json], going: Collection[str], served: Collection[str]) -> list[str]:
    """The Services that would lose their last endpoint with some pods.

    Args:
        slices: all EndpointSlices of the namespace; those that others than the cluster's controller wrote count, too.
        going: the names of the pods that are scaled down.
        served: the names of the Services that find the exposure pod.
    """
    losing: set[str] = set()
    keeping = set(served)
    for item in slices:
        service = (item["metadata"].get("labels") or {}).get(SERVICE_NAME_LABEL)
        if not service:
            continue
        for endpoint in item.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                pod = (endpoint.get("targetRef") or {}).get("name")
                (losing if pod in going else keeping).add(service)
    return sorted(losing - keeping)


def loss(services: Sequence[str], workloads: Sequence[object], namespace: str) -> Blocker:
    """What speaks against taking the last endpoint of these Services."""
    shown = ", ".join(f"{namespace}/{name}" for name in services[:SHOWN])
    more = f" and {len(services) - SHOWN} more" if len(services) > SHOWN else ""
    its = "its last endpoint" if len(services) == 1 else "their last endpoints"
    return Blocker(
        f"{shown}{more} would lose {its}: scaling {', '.join(map(str, workloads))} to zero ends all pods, and the"
        " exposure pod cannot stand in for these",
        FORCE_OR_KEEP,
        forcible=True,
    )


def unselected(workloads: Sequence[object], going: Collection[str], selected: Collection[str]) -> str:
    """What scaling also ends; empty if the Services that were asked for select all of it.

    Args:
        going: the names of the pods that are scaled down.
        selected: the names of the pods behind these Services.
    """
    others = sorted(set(going) - set(selected))
    if not others:
        return ""
    more = f" and {len(others) - SHOWN} more" if len(others) > SHOWN else ""
    return (
        f"scaling {', '.join(map(str, workloads))} to zero also ends pod {', '.join(others[:SHOWN])}{more}, which"
        " the Service does not select; --keep leaves them running"
    )


def published_early(services: Sequence[Json]) -> Blocker | None:
    """What speaks against a pod that joins a Service which sends to pods that are not Ready; None if nothing does.

    Such a Service would send to the exposure pod before it is connected and as long as it exists, and to the replaced
    pods while they end.
    """
    names = [
        f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        for service in services
        if service["spec"].get("publishNotReadyAddresses")
    ]
    if not names:
        return None
    return Blocker(
        f"{', '.join(names)} sends to pods that are not Ready (publishNotReadyAddresses), so requests would fail while"
        " the exposure begins and ends",
        FORCE_OR_KEEP,
        forcible=True,
    )
