"""Follows an exposure's namespace: its own pods, its Services, and which pods these send traffic to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from kubectl_localize.cluster import objects
from kubectl_localize.cluster.exposing.values import SESSION_LABEL
from kubectl_localize.cluster.store import ENDPOINT_SLICES, PODS, Store, Table
from kubectl_localize.cluster.watch import Reachability, Requests, Resource, Watch
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Clock, Notifier

T = TypeVar("T")
Json = dict[str, Any]

SERVICES = Resource[Json]("v1", "services", dict)  # as they are: selectors count here


class ExposureInformer:
    """Follows the pods of one session, the EndpointSlices of some Services, and some of these themselves.

    Args:
        services: the names of those whose EndpointSlices are followed, in `namespace`.
        exposed: the names of those that are followed themselves.
        changed: fired after every change.
    """

    def __init__(
        self,
        requests: Requests,
        namespace: str,
        session: str,
        services: Sequence[str],
        *,
        exposed: Sequence[str],
        changed: Notifier,
        clock: Clock,
        reachability: Reachability,
    ) -> None:
        self._store = Store(changed, clock)
        self._pods = Watch(
            requests, PODS, namespace=namespace, selector=f"{SESSION_LABEL}={session}", reachability=reachability,
            clock=clock,
        )  # fmt: skip
        self._slices = Watch(
            requests,
            ENDPOINT_SLICES,
            namespace=namespace,
            selector=f"{objects.SERVICE_NAME_LABEL} in ({','.join(services)})",
            reachability=reachability,
            clock=clock,
        )
        self._services = {  # a table each: a list of one of them says nothing of the others
            name: (
                Table[Json](changed),
                Watch(
                    requests,
                    SERVICES,
                    namespace=namespace,
                    selector="",
                    name=name,
                    reachability=reachability,
                    clock=clock,
                ),
            )
            for name in exposed
        }
        self._tasks = Tasks()

    async def begin(self) -> None:
        """List once, and follow from then on.

        Raises:
            KubectlError: pods, EndpointSlices or Services cannot be listed.
        """
        pods, slices, _ = await asyncio.gather(self._pods.list(), self._slices.list(), self._list_services())
        self._store.pods.apply(pods)
        self._store.endpoint_slices.apply(slices)
        self._tasks.start(self._store.pods.follow(self._pods), f"following {self._pods}")
        self._tasks.start(self._store.endpoint_slices.follow(self._slices), f"following {self._slices}")
        for name, (table, watch) in self._services.items():
            self._tasks.start(table.follow(watch), f"following Service {name}")

    async def _list_services(self) -> None:
        for table, watch in self._services.values():
            table.apply(await watch.list())

    async def end(self) -> None:
        """Stop following."""
        await self._tasks.end()

    @property
    def pods(self) -> Mapping[str, Json]:
        """The session's pods, by name."""
        return {identity.partition("/")[2]: pod for identity, pod in self._store.pods.objects.items()}

    def service(self, key: ServiceKey) -> Json | None:
        """An exposed Service as it is by now; None if it is gone."""
        return self._services[key.name][0].get(str(key))

    def ready(self, service: ServiceKey) -> set[str]:
        """The Ready pods that a Service sends traffic to."""
        return self._store.ready_pods([service])

    def others(self, services: Sequence[ServiceKey]) -> set[str]:
        """The Ready pods that get traffic of any of these Services, but for those of the session."""
        return self._store.ready_pods(services, without=self.pods)

    @property
    def quiet_seconds(self) -> float:
        """How long no EndpointSlice has changed."""
        return self._store.quiet_seconds
