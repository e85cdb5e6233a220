"""The store: the Services, EndpointSlices and pods that watches have reported, and which Services have changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar

from kubectl_localize.cluster import objects
from kubectl_localize.cluster.watch import Listed, Put, Resource, Watch, WatchEvent
from kubectl_localize.model import EndpointSlice, Service, ServiceKey
from kubectl_localize.timing import Clock, Notifier

T = TypeVar("T")
Json = dict[str, Any]

SERVICES = Resource[Service]("v1", "services", objects.listed_service)
ENDPOINT_SLICES = Resource[EndpointSlice]("discovery.k8s.io/v1", "endpointslices", objects.endpoint_slice)
PODS = Resource[Json]("v1", "pods", dict)


class Table(Generic[T]):
    """The objects of one kind, by `namespace/name`.

    Args:
        changed: fired after each change.
    """

    def __init__(self, changed: Notifier) -> None:
        self._changed = changed
        self._objects: dict[str, T] = {}

    def get(self, identity: str) -> T | None:
        """The object of this `namespace/name`; None if there is none."""
        return self._objects.get(identity)

    @property
    def objects(self) -> Mapping[str, T]:
        """All of them."""
        return self._objects

    def apply(self, event: WatchEvent[T]) -> None:
        """Take in what a watch says."""
        if isinstance(event, Listed):
            prefix = f"{event.namespace}/" if event.namespace else ""
            for identity in [key for key in self._objects if key.startswith(prefix) and key not in event.objects]:
                self._set(identity, None)
            for identity, value in event.objects.items():
                self._set(identity, value)
        else:
            self._set(event.identity, event.value if isinstance(event, Put) else None)

    async def follow(self, watch: Watch[T]) -> None:
        """Take in all that a watch says from now on, until cancelled."""
        async with aclosing(watch.events()) as events:
            async for event in events:
                self.apply(event)

    def _set(self, identity: str, value: T | None) -> None:
        before = self._objects.pop(identity, None)
        if value is not None:
            self._objects[identity] = value
        if before != value:
            self._note(identity, before, value)
            self._changed.fire()

    def _note(self, identity: str, before: T | None, value: T | None) -> None:
        """Called for each change, before `changed` is fired."""


class ServiceTable(Table[Service]):
    """Services; `dirty` are those that have changed."""

    def __init__(self, changed: Notifier, dirty: set[ServiceKey]) -> None:
        super().__init__(changed)
        self._dirty = dirty

    def _note(self, identity: str, before: Service | None, value: Service | None) -> None:
        self._dirty.update(service.key for service in (before, value) if service is not None)


class SliceTable(Table[EndpointSlice]):
    """EndpointSlices, also by Service; `changed_at` is when one changed last, on the given clock."""

    def __init__(self, changed: Notifier, dirty: set[ServiceKey], clock: Clock) -> None:
        super().__init__(changed)
        self._dirty = dirty
        self._clock = clock
        self._by_service: dict[ServiceKey, dict[str, EndpointSlice]] = {}
        self.changed_at = clock.now()

    def of(self, key: ServiceKey) -> tuple[EndpointSlice, ...]:
        """Those of a Service."""
        return tuple(self._by_service.get(key, {}).values())

    def _note(self, identity: str, before: EndpointSlice | None, value: EndpointSlice | None) -> None:
        if before is not None:
            slices = self._by_service[before.service]
            del slices[identity]
            if not slices:
                del self._by_service[before.service]
            self._dirty.add(before.service)
        if value is not None:
            self._by_service.setdefault(value.service, {})[identity] = value
            self._dirty.add(value.service)
        self.changed_at = self._clock.now()


class Store:
    """What is known of the watched namespaces; informers fill its tables.

    Args:
        changed: fired after each change, often.
    """

    def __init__(self, changed: Notifier, clock: Clock) -> None:
        self._clock = clock
        self._changed = changed
        self._dirty: set[ServiceKey] = set()
        self.services = ServiceTable(changed, self._dirty)
        self.endpoint_slices = SliceTable(changed, self._dirty, clock)
        self.pods = Table[Json](changed)

    def service(self, key: ServiceKey) -> Service | None:
        """A Service; None if there is none of that name."""
        return self.services.get(str(key))

    def keys(self) -> list[ServiceKey]:
        """All Services."""
        return [service.key for service in self.services.objects.values()]

    def slices(self, key: ServiceKey) -> tuple[EndpointSlice, ...]:
        """The EndpointSlices that belong to a Service."""
        return self.endpoint_slices.of(key)

    def has_pod(self, namespace: str, pod: str) -> bool:
        """Whether a pod is behind any Service; a terminating pod still is, until it is gone."""
        return any(
            pod in endpoint_slice.unready or any(endpoint.pod == pod for endpoint in endpoint_slice.endpoints)
            for endpoint_slice in self.endpoint_slices.objects.values()
            if endpoint_slice.service.namespace == namespace
        )

    def ready_pods(self, services: Sequence[ServiceKey], *, without: Collection[str] = ()) -> set[str]:
        """The names of the Ready pods that any of these Services sends traffic to.

        Args:
            without: names that are left out.
        """
        pods = (endpoint.pod for key in services for part in self.slices(key) for endpoint in part.endpoints)
        return {pod for pod in pods if pod not in without}

    @property
    def quiet_seconds(self) -> float:
        """How long no EndpointSlice has changed."""
        return self._clock.now() - self.endpoint_slices.changed_at

    def touch(self, key: ServiceKey) -> None:
        """Count a Service as changed: something is known about it that no watch reports."""
        self._dirty.add(key)
        self._changed.fire()

    @property
    def is_dirty(self) -> bool:
        """Whether anything has changed since `take_dirty`."""
        return bool(self._dirty)

    def mark_all(self) -> None:
        """Count every Service as changed."""
        self._dirty.update(self.keys())

    def take_dirty(self) -> set[ServiceKey]:
        """The Services for which something has changed since the last call."""
        dirty = set(self._dirty)
        self._dirty.clear()
        return dirty
