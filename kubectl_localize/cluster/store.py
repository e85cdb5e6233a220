"""What the lists and watches have said so far: every Service and EndpointSlice of the watched namespaces."""

from __future__ import annotations

from collections.abc import Callable

from kubectl_localize.model import EndpointSlice, Service, ServiceKey


class Store:
    """Services and EndpointSlices, and which Services something has changed for since they were last looked at.

    Args:
        changed: called after each change, often; it should only note that there is something to reconcile.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._services: dict[ServiceKey, Service] = {}
        self._slices: dict[ServiceKey, dict[str, EndpointSlice]] = {}
        self._owners: dict[str, ServiceKey] = {}
        self._dirty: set[ServiceKey] = set()

    def service(self, key: ServiceKey) -> Service | None:
        """A Service; None where there is none of that name."""
        return self._services.get(key)

    def keys(self) -> list[ServiceKey]:
        """All Services."""
        return list(self._services)

    def slices(self, key: ServiceKey) -> tuple[EndpointSlice, ...]:
        """The EndpointSlices that belong to a Service."""
        return tuple(self._slices.get(key, {}).values())

    def has_pod(self, namespace: str, pod: str) -> bool:
        """Whether a pod is behind any Service; one that terminates is, until it is gone."""
        return any(
            pod in found.unready or any(endpoint.pod == pod for endpoint in found.endpoints)
            for key, slices in self._slices.items()
            if key.namespace == namespace
            for found in slices.values()
        )

    def take_dirty(self) -> set[ServiceKey]:
        """The Services that something has changed for since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def put_service(self, identity: str, service: Service | None) -> None:
        """Add, replace or (None) remove the Service of this `namespace/name`."""
        key = _key(identity)
        if service is None:
            self._services.pop(key, None)
        else:
            self._services[key] = service
        self._touch(key)

    def put_slice(self, identity: str, endpoint_slice: EndpointSlice | None) -> None:
        """Add, replace or (None) remove the EndpointSlice of this `namespace/name`."""
        before = self._owners.pop(identity, None)
        if before is not None:
            self._slices[before].pop(identity, None)
            self._touch(before)
        if endpoint_slice is not None:
            self._owners[identity] = endpoint_slice.service
            self._slices.setdefault(endpoint_slice.service, {})[identity] = endpoint_slice
            self._touch(endpoint_slice.service)

    def replace_services(self, namespace: str, services: dict[str, Service]) -> None:
        """All Services of a namespace (of the cluster where it is empty): what is not among them is gone."""
        for key in [key for key in self._services if namespace in ("", key.namespace)]:
            if str(key) not in services:
                self.put_service(str(key), None)
        for identity, service in services.items():
            self.put_service(identity, service)

    def replace_slices(self, namespace: str, slices: dict[str, EndpointSlice]) -> None:
        """All EndpointSlices of a namespace (of the cluster where it is empty)."""
        for identity, owner in list(self._owners.items()):
            if namespace in ("", owner.namespace) and identity not in slices:
                self.put_slice(identity, None)
        for identity, endpoint_slice in slices.items():
            self.put_slice(identity, endpoint_slice)

    def _touch(self, key: ServiceKey) -> None:
        self._dirty.add(key)
        self._changed()


def _key(identity: str) -> ServiceKey:
    namespace, _, name = identity.partition("/")
    return ServiceKey(namespace, name)
