"""The document that `ls -o json` prints and `state.json` holds.

docs/state.md explains every field, docs/state.schema.json describes the document for programs, and a test holds that
both have the fields of these dataclasses. The defaults are what a file of an older version does not say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from kubectl_localize.codec import CodecError, from_json, to_json

if TYPE_CHECKING:
    from kubectl_localize.model import ServiceKey

API_VERSION = "localize/v1"


class Status(StrEnum):
    """What `ls` shows of a Service or of one of its ports."""

    IDLE = "Idle"
    ACTIVE = "Active"
    WAITING = "Waiting"
    BACKOFF = "Backoff"
    SKIPPED = "Skipped"
    EXPOSING = "Exposing"
    EXPOSED = "Exposed"
    RESTORING = "Restoring"


class HostsState(StrEnum):
    """Whether the names of this context stand in the hosts file."""

    WRITTEN = "written"
    OFF = "off"
    DENIED = "denied"


@dataclass(frozen=True)
class SupervisorItem:
    """A supervisor that runs (docs/state.md, *Supervisor*)."""

    context: str
    pid: int
    started_at: str = ""
    version: str = ""
    hosts: HostsState = HostsState.OFF
    children: int = 0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class PortChild:
    """A `kubectl port-forward` behind a port (docs/state.md, *Child of a port*)."""

    pod: str
    pid: int
    connections: int = 0


@dataclass(frozen=True)
class ForwardPort:
    """A port of a forwarded Service (docs/state.md, *Port of a forward*)."""

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
    """A pod with an address and names of its own on this machine (docs/state.md, *Pod of a forward*)."""

    name: str
    address: str
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForwardItem:
    """A Service that is reachable on this machine (docs/state.md, *Forward*)."""

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
    """A port of an exposed Service (docs/state.md, *Port of an exposure*)."""

    port: int
    target_port: int
    local: str
    connections: int = 0


@dataclass(frozen=True)
class WorkloadItem:
    """A workload that an exposure has scaled down (docs/state.md, *Workload*)."""

    kind: str
    name: str
    replicas: int


@dataclass(frozen=True)
class ExposureItem:
    """A Service whose traffic comes to this machine (docs/state.md, *Exposure*)."""

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
    """What runs: one supervisor's in its state file, all of them in `ls`."""

    supervisors: tuple[SupervisorItem, ...] = ()
    items: tuple[Item, ...] = ()

    def of(self, keys: Collection[ServiceKey]) -> LsDocument:
        """The document with the items of these Services only."""
        wanted = {(key.namespace, key.name) for key in keys}
        return LsDocument(self.supervisors, tuple(item for item in self.items if (item.namespace, item.name) in wanted))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Those whose Services have an address here."""
        return tuple(sorted({item.namespace for item in self.items if isinstance(item, ForwardItem) and item.address}))

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
        """Parse the document from JSON; keys that this version does not know are left out.

        Args:
            data: what `json.loads` returned.

        Raises:
            CodecError: it is not such a document, or has another apiVersion.
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
        """The document in a state file's text.

        Raises:
            CodecError: it is no JSON, or as for `from_json`.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CodecError("it is no JSON") from error
        return cls.from_json(data)


@dataclass(frozen=True)
class ForwardCounts:
    """How many Services of a document are forwarded, cannot be forwarded, or cannot listen on this machine."""

    forwarded: int = 0
    skipped: int = 0
    deaf: int = 0

    @classmethod
    def of(cls, document: LsDocument) -> ForwardCounts:
        """Those of a document."""
        forwards = [item for item in document.items if isinstance(item, ForwardItem)]
        possible = [item for item in forwards if item.status is not Status.SKIPPED]
        deaf = sum(_listens_nowhere(item) for item in possible)
        return cls(len(possible) - deaf, len(forwards) - len(possible), deaf)


def _listens_nowhere(item: ForwardItem) -> bool:
    """Whether no port of a Service could be bound; a port that waits for its first pod has not failed."""
    ports = [port for port in item.ports if port.status is not Status.SKIPPED]
    return bool(ports) and all(port.status is Status.BACKOFF and not port.local_port for port in ports)


def _item(data: Any) -> Item:
    kinds: dict[str, type[Item]] = {ForwardItem.kind: ForwardItem, ExposureItem.kind: ExposureItem}
    name = data.get("kind") if isinstance(data, dict) else None
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise CodecError("items holds something that is neither Forward nor Exposure")
    return from_json(kind, data, place="items")


def rfc3339(moment: datetime) -> str:
    """A moment in UTC with whole seconds, as Kubernetes writes it."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"  # strftime takes 20 times as long
