"""What is going on in an exposure's namespace: its own pods, and which pods its Services send traffic to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kubectl_localize.cluster import objects
from kubectl_localize.cluster.exposing.values import SESSION_LABEL
from kubectl_localize.cluster.watch import Resource, Spawn, Watch
from kubectl_localize.model import Connection, EndpointSlice, ServiceKey
from kubectl_localize.timing import Notifier

Json = dict[str, Any]


class ExposureInformer:
    """Follows the pods of one session and the EndpointSlices of some Services.

    Args:
        changed: fired after every change.
        clock: seconds, monotonic.
        reachable: returns once the API server can be reached.
    """

    def __init__(
        self,
        connection: Connection,
        namespace: str,
        session: str,
        services: Sequence[str],
        *,
        changed: Notifier,
        clock: Callable[[], float],
        spawn: Spawn,
        reachable: Callable[[], Awaitable[None]],
    ) -> None:
        self._namespace = namespace
        self._changed = changed
        self._clock = clock
        self._slices: dict[str, EndpointSlice] = {}
        self._changed_at = clock()
        self.pods: dict[str, Json] = {}

        def watch(resource: Resource[Any], selector: str) -> Watch[Any]:
            return Watch(connection, resource, namespace=namespace, selector=selector, spawn=spawn, reachable=reachable)

        self._watches = [
            watch(
                Resource[Json]("v1", "pods", dict, self._replace_pods, self._put_pod),
                f"{SESSION_LABEL}={session}",
            ),
            watch(
                Resource[EndpointSlice](
                    "discovery.k8s.io/v1", "endpointslices", objects.endpoint_slice, self._replace, self._put
                ),
                f"{objects.SERVICE_NAME_LABEL} in ({','.join(services)})",
            ),
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """List once, and follow from then on.

        Raises: KubectlError where that cannot be listed.
        """
        await asyncio.gather(*(watch.list() for watch in self._watches))
        self._tasks = [asyncio.create_task(watch.run()) for watch in self._watches]

    async def renew(self) -> None:
        """Give every watch a fresh connection."""
        await asyncio.gather(*(watch.renew() for watch in self._watches))

    async def end(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []

    def ready(self, service: ServiceKey) -> set[str]:
        """The Ready pods that a Service sends traffic to."""
        return {
            endpoint.pod for found in self._slices.values() if found.service == service for endpoint in found.endpoints
        }

    def others(self, services: Sequence[ServiceKey]) -> set[str]:
        """The pods that get traffic of any of these Services, but those of the session."""
        return {pod for service in services for pod in self.ready(service)} - set(self.pods)

    @property
    def quiet_seconds(self) -> float:
        """How long no slice has changed."""
        return self._clock() - self._changed_at

    def _put_pod(self, identity: str, pod: Json | None) -> None:
        name = identity.partition("/")[2]
        if pod is None:
            self.pods.pop(name, None)
        else:
            self.pods[name] = pod
        self._changed.fire()

    def _replace_pods(self, namespace: str, pods: Mapping[str, Json]) -> None:
        self.pods = {identity.partition("/")[2]: pod for identity, pod in pods.items()}
        self._changed.fire()

    def _put(self, identity: str, endpoint_slice: EndpointSlice | None) -> None:
        if endpoint_slice is None:
            self._slices.pop(identity, None)
        else:
            self._slices[identity] = endpoint_slice
        self._touch()

    def _replace(self, namespace: str, slices: Mapping[str, EndpointSlice]) -> None:
        if slices != self._slices:
            self._slices = dict(slices)
            self._touch()

    def _touch(self) -> None:
        self._changed_at = self._clock()
        self._changed.fire()
