"""What an `expose` command asks of a supervisor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kubectl_localize.model import Connection, PortMap, ServiceKey
from kubectl_localize.supervisor.order import connection_from_json

FAILSAFE_SECONDS = 600.0


@dataclass(frozen=True)
class ExposeRequest:
    """One `kubectl localize expose`.

    Args:
        services: what is exposed, all in one namespace or in several.
        maps: where the local processes are, where they are not at the target ports' numbers.
        keep: leave the workloads running.
        force: go on though something speaks against it that may be overruled.
        dry_run: check and say what would be done, change nothing.
        failsafe_seconds: after how long without this machine the cluster brings the workload back; 0: never.
        failsafe_service_account: one made by an admin for that; empty: our own.
        image, failsafe_image: empty for the default ones.
        image_pull_secret: one more than the workload's own; empty for none.
        command: whether the local process is started by the command, with the environment of the replaced container.
    """

    services: tuple[ServiceKey, ...]
    maps: tuple[PortMap, ...] = ()
    keep: bool = False
    force: bool = False
    dry_run: bool = False
    failsafe_seconds: float = FAILSAFE_SECONDS
    failsafe_service_account: str = ""
    image: str = ""
    failsafe_image: str = ""
    image_pull_secret: str = ""
    command: bool = False


def to_json(order: ExposeRequest, connection: Connection) -> dict[str, Any]:
    """The order as fields of an `expose` request."""
    return {"order": asdict(order), "connection": asdict(connection)}


def from_json(request: dict[str, Any]) -> tuple[ExposeRequest, Connection]:
    """The order in an `expose` request, and the cluster that is meant."""
    fields = dict(request["order"])
    fields["services"] = services_from_json(fields)
    fields["maps"] = tuple(PortMap(**one) for one in fields["maps"])
    return ExposeRequest(**fields), connection_from_json(request)


def services_from_json(fields: dict[str, Any]) -> tuple[ServiceKey, ...]:
    """The Services that an order or an `unexpose` request names."""
    return tuple(ServiceKey(**key) for key in fields["services"])
