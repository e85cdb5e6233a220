"""Services and EndpointSlices of the selection, listed at the start and followed from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kubectl_localize.cluster import objects
from kubectl_localize.cluster import selection as selecting
from kubectl_localize.cluster.kubectl import explain, get_raw
from kubectl_localize.cluster.store import Store
from kubectl_localize.cluster.watch import Resource, Spawn, Watch
from kubectl_localize.errors import (
    BadRequestError,
    ForbiddenError,
    KubectlError,
    LocalizeError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.model import Connection, EndpointSlice, Selection, Service

log = logging.getLogger(__name__)
T = TypeVar("T")


class Informer:
    """Fills a view and keeps it up to date.

    Args:
        reachable: returns once the API server can be reached.
    """

    def __init__(
        self,
        connection: Connection,
        selection: Selection,
        view: Store,
        *,
        spawn: Spawn,
        reachable: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._spawn = spawn
        self._reachable = reachable
        self._services = Resource[Service](
            "v1", "services", objects.service, view.replace_services, view.put_service
        )  # fmt: skip
        self._slices = Resource[EndpointSlice](
            "discovery.k8s.io/v1", "endpointslices", objects.endpoint_slice, view.replace_slices, view.put_slice
        )
        self._watches: list[Watch[Service] | Watch[EndpointSlice]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.warnings: list[str] = []

    async def begin(self) -> None:
        """List everything once, and start to follow it.

        Raises: LocalizeError with a hint where nothing can be listed at all.
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
        for watch in self._watches:
            self._tasks.append(asyncio.create_task(watch.run()))

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
        self._watches = []
        refused: list[ForbiddenError] = []
        for namespace in namespaces:
            services = self._watch(self._services, namespace, self._selection.label_selector)
            slices = self._watch(self._slices, namespace, "")
            try:
                found, _ = await asyncio.gather(services.list(), slices.list())
            except ForbiddenError as error:
                refused.append(error)
                self.warnings.append(f"you may not list Services and EndpointSlices in namespace {namespace}")
                continue
            if namespace and not found:
                await self._must_exist(namespace)
            self._watches += [services, slices]
        if refused and not self._watches:
            self.warnings.clear()
            raise refused[0]

    def _watch(self, resource: Resource[T], namespace: str, selector: str) -> Watch[T]:
        return Watch(
            self._connection, resource, namespace=namespace, selector=selector, spawn=self._spawn,
            reachable=self._reachable,
        )  # fmt: skip

    async def _must_exist(self, namespace: str) -> None:
        """An unknown namespace lists as an empty one. Whether it is there may be forbidden to know; so be it."""
        if not await self._exists(f"/api/v1/namespaces/{namespace}"):
            raise NotFoundError(f"there is no namespace {namespace}")

    async def pod_exists(self, namespace: str, pod: str) -> bool:
        """Whether a pod is there; True where the cluster does not say."""
        return await self._exists(f"/api/v1/namespaces/{namespace}/pods/{pod}")

    async def _exists(self, path: str) -> bool:
        process = await self._spawn(get_raw(self._connection, path, timeout_seconds=10))
        code = await process.wait()
        return not (code and isinstance(explain(process.tail, code), NotFoundError))

    async def renew(self) -> None:
        """Give every watch a fresh connection."""
        await asyncio.gather(*(watch.renew() for watch in self._watches))

    def problems(self) -> list[str]:
        """Why what is shown may be out of date."""
        return sorted(
            {f"the cluster is not being followed: {watch.problem}" for watch in self._watches if watch.problem}
        )

    async def end(self) -> None:
        """Stop following."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


def _explained(error: KubectlError, connection: Connection) -> LocalizeError:
    """The error in the user's words, with what to do about it."""
    where = f"context {connection.context}"
    match error:
        case UnreachableError():
            return UnreachableError(
                f"the API server of {where} at {connection.server} does not answer: {error.message}",
                "check the cluster, VPN and proxy; `kubectl get --raw /readyz` has to work first",
            )
        case UnauthorizedError():
            return UnauthorizedError(
                f"the API server of {where} does not accept your credentials: {error.message}",
                "log in again; `kubectl auth whoami` has to work first",
            )
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
