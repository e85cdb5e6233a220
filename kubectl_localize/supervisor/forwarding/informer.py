"""Services and EndpointSlices of the selection, listed at the start and followed from then on."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypeVar

from kubectl_localize.cluster import selection as selecting
from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.explaining import explained
from kubectl_localize.cluster.store import ENDPOINT_SLICES, SERVICES, Store
from kubectl_localize.cluster.watch import Reachability, Requests, Resource, Watch
from kubectl_localize.errors import (
    BadRequestError,
    ConfigurationError,
    ForbiddenError,
    KubectlError,
    LocalizeError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.model import Connection, EndpointSlice, Selection, Service
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Clock

log = logging.getLogger(__name__)
T = TypeVar("T")


class Informer:
    """Fills a store and keeps it up to date.

    Args:
        api, requests: the API server of `connection`.
        reachability: waited for after a failure.
    """

    def __init__(
        self,
        connection: Connection,
        selection: Selection,
        store: Store,
        *,
        api: Api,
        requests: Requests,
        reachability: Reachability,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._store = store
        self._api = api
        self._requests = requests
        self._reachability = reachability
        self._clock = clock
        self._services: list[Watch[Service]] = []
        self._slices: list[Watch[EndpointSlice]] = []
        self._tasks = Tasks()
        self.warnings: list[str] = []

    async def begin(self) -> None:
        """List everything once, and start to follow it.

        Raises:
            LocalizeError: nothing can be listed at all.
        """
        namespaces = list(selecting.watched_namespaces(self._selection, self._connection.namespace))
        try:
            await self._list(namespaces or [""])
        except ForbiddenError as error:
            if namespaces:
                raise _explained(error, self._connection) from error
            await self._fall_back(error)
        except KubectlError as error:
            raise _explained(error, self._connection) from error
        for services in self._services:
            self._tasks.start(self._store.services.follow(services), f"following {services}")
        for slices in self._slices:
            self._tasks.start(self._store.endpoint_slices.follow(slices), f"following {slices}")

    async def _fall_back(self, refusal: ForbiddenError) -> None:
        namespace = self._connection.namespace
        try:
            await self._list([namespace])
        except KubectlError as error:
            raise _explained(error, self._connection) from error
        log.info("cluster-wide list: %s", refusal.message)
        self.warnings.append(
            f"you may not list Services in all namespaces; only namespace {namespace} is forwarded"
            " (name others with -n)"
        )

    async def _list(self, namespaces: list[str]) -> None:
        """List all namespaces at the same time. A forbidden one becomes a warning, unless all of them are forbidden."""
        results = await asyncio.gather(*(self._list_one(name) for name in namespaces), return_exceptions=True)
        refused: list[ForbiddenError] = []
        for namespace, result in zip(namespaces, results, strict=True):
            if isinstance(result, ForbiddenError):
                refused.append(result)
                self.warnings.append(f"you may not list Services and EndpointSlices in namespace {namespace}")
            elif isinstance(result, BaseException):
                raise result
        if refused and not self._services:
            self.warnings.clear()
            raise refused[0]

    async def _list_one(self, namespace: str) -> None:
        """List a namespace (the cluster, if it is empty) and keep its watches."""
        services = self._watch(SERVICES, namespace, self._selection.label_selector)
        slices = self._watch(ENDPOINT_SLICES, namespace, "")
        service_list, slice_list = await asyncio.gather(services.list(), slices.list())
        if namespace and not service_list.objects and not await self._api.namespace_exists(namespace):
            raise NotFoundError(f"there is no namespace {namespace}")  # it lists as an empty one
        self._store.services.apply(service_list)
        self._store.endpoint_slices.apply(slice_list)
        self._services.append(services)
        self._slices.append(slices)

    def _watch(self, resource: Resource[T], namespace: str, selector: str) -> Watch[T]:
        return Watch(
            self._requests, resource, namespace=namespace, selector=selector, reachability=self._reachability,
            clock=self._clock,
        )  # fmt: skip

    def problems(self) -> list[str]:
        """Why what is shown may be out of date."""
        watches: list[Watch[Any]] = [*self._services, *self._slices]
        return sorted({f"the cluster is not being followed: {watch.problem}" for watch in watches if watch.problem})

    async def end(self) -> None:
        """Stop following."""
        await self._tasks.end()


def _explained(error: KubectlError, connection: Connection) -> LocalizeError:
    """The error in the user's words, with what to do about it."""
    where = f"context {connection.context}"
    match error:
        case UnreachableError() | UnauthorizedError() | ConfigurationError():
            return explained(error, connection)
        case ForbiddenError():
            return ForbiddenError(
                f"you may not list Services and EndpointSlices: {error.message}",
                "name a namespace that you may read with -n, or ask for list and watch on both there",
            )
        case NotFoundError():
            return NotFoundError(
                f"{error.message} in {where}", "`kubectl get namespaces` lists those that exist"
            )  # fmt: skip
        case BadRequestError():
            return BadRequestError(
                f"the API server does not understand the request: {error.message}",
                "check -l, such as -l app=web or -l 'tier in (front,back)'",
            )
        case _:
            return KubectlError(error.message, "`kubectl localize logs` may say more")
