"""The document that `ls -o json` prints and `state.json` holds (docs/state.md, docs/state.schema.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from kubectl_localize.codec import CodecError, from_json, to_json
from kubectl_localize.status import HostsState, Status

API_VERSION = "localize/v1"


@dataclass(frozen=True)
class SupervisorItem:
    """One running supervisor.

    Args:
        started_at: RFC 3339, in UTC.
        hosts: whether its names stand in the hosts file.
        children: how many `kubectl port-forward` run.
        warnings: what is missing, a sentence each.
    """

    context: str
    pid: int
    started_at: str = ""
    version: str = ""
    hosts: HostsState = HostsState.OFF
    children: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PortChild:
    """One `kubectl port-forward` behind a port."""

    pod: str
    pid: int
    connections: int = 0


@dataclass(frozen=True)
class ForwardPort:
    """One port of a forwarded Service.

    Args:
        name, port, target_port, protocol: the Service's own; `target_port` is a number, or a name.
        local_port: where it listens here; 0 if it does not.
        connections: how many are open.
        bytes_in, bytes_out: to this machine, and to the cluster.
        restarts: how often a child of it had to be started again.
    """

    name: str
    port: int
    local_port: int
    target_port: int | str
    protocol: str
    status: Status
    reason: str = ""
    connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    restarts: int = 0
    children: tuple[PortChild, ...] = ()


@dataclass(frozen=True)
class ForwardPod:
    """A pod with an address and names of its own here (headless Services, StatefulSets)."""

    name: str
    address: str
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForwardItem:
    """A Service made local; `since` is RFC 3339 in UTC, empty if nothing of it runs."""

    kind: ClassVar = "Forward"
    context: str
    namespace: str
    name: str
    status: Status
    reason: str = ""
    address: str = ""
    pods: tuple[ForwardPod, ...] = ()
    hostnames: tuple[str, ...] = ()
    ports: tuple[ForwardPort, ...] = ()
    endpoints: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    since: str = ""


@dataclass(frozen=True)
class ExposurePort:
    """One port of an exposed Service; `local` is HOST:PORT here."""

    port: int
    target_port: int
    local: str
    connections: int = 0


@dataclass(frozen=True)
class WorkloadItem:
    """A workload that an exposure has scaled down, and the replicas that it gets back."""

    kind: str
    name: str
    replicas: int


@dataclass(frozen=True)
class ExposureItem:
    """A Service whose traffic comes here."""

    kind: ClassVar = "Exposure"
    context: str
    namespace: str
    name: str
    status: Status
    reason: str = ""
    pod: str = ""
    ports: tuple[ExposurePort, ...] = ()
    workloads: tuple[WorkloadItem, ...] = ()
    since: str = ""


Item = ForwardItem | ExposureItem


@dataclass(frozen=True)
class LsDocument:
    """What runs: of one supervisor in its state file, of all of them in `ls`."""

    supervisors: tuple[SupervisorItem, ...] = ()
    items: tuple[Item, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The document as JSON, its keys in the order of docs/state.md."""
        return {
            "apiVersion": API_VERSION,
            "kind": "List",
            "supervisors": to_json(self.supervisors),
            "items": [{"kind": item.kind, **to_json(item)} for item in self.items],
        }

    @classmethod
    def from_json(cls, data: Any) -> LsDocument:
        """The document that JSON stands for; keys that this version does not know are left out.

        Raises: CodecError if it is none, or one of another version.
        """
        if not isinstance(data, dict):
            raise CodecError("it holds no document")
        if data.get("apiVersion") != API_VERSION:
            raise CodecError(f"its apiVersion is {data.get('apiVersion')!r}, not {API_VERSION!r}")
        supervisors, items = data.get("supervisors"), data.get("items")
        if not isinstance(supervisors, list) or not isinstance(items, list):
            raise CodecError("it has no lists of supervisors and items")
        return cls(
            tuple(from_json(SupervisorItem, entry, place="supervisors") for entry in supervisors),
            tuple(_item(entry) for entry in items),
        )

    @classmethod
    def from_text(cls, text: str) -> LsDocument:
        """The document in a state file's text. Raises: CodecError."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CodecError("it is no JSON") from error
        return cls.from_json(data)


def _item(data: Any) -> Item:
    kinds: dict[str, type[Item]] = {ForwardItem.kind: ForwardItem, ExposureItem.kind: ExposureItem}
    kind = kinds.get(data.get("kind", "")) if isinstance(data, dict) else None
    if kind is None:
        raise CodecError("items holds something that is neither Forward nor Exposure")
    return from_json(kind, data, place="items")


def rfc3339(moment: datetime) -> str:
    """A moment in UTC with whole seconds, as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
