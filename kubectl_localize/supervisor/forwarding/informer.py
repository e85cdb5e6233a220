"""Services and EndpointSlices of the namespaces that commands want, listed once and followed from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from kubectl_localize.cluster import selection as selecting
from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.explaining import explained
from kubectl_localize.cluster.store import ENDPOINT_SLICES, SERVICES, Store
from kubectl_localize.cluster.watch import Listed, Reachability, Requests, Resource, Watch
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
from kubectl_localize.model import Connection, EndpointSlice, Selection, Service, ServiceKey
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Clock

log = logging.getLogger(__name__)
T = TypeVar("T")
GUESS_SECONDS = 3.0


@dataclass(frozen=True)
class Coverage:
    """What is followed for a selection: the namespaces (`""`: all of them), and what cannot be, a sentence each."""

    namespaces: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class _Followed:
    """A namespace that is followed, once `begin` was called; `""` is all of them."""

    def __init__(self, store: Store, services: Watch[Service], slices: Watch[EndpointSlice]) -> None:
        self.watches: tuple[Watch[Any], ...] = (services, slices)
        self._store = store
        self._services = services
        self._slices = slices
        self._tasks = Tasks()

    async def list(self) -> tuple[Listed[Service], Listed[EndpointSlice]]:
        """Everything that there is now; raises a KubectlError."""
        return await asyncio.gather(self._services.list(), self._slices.list())

    def begin(self, services: Listed[Service], slices: Listed[EndpointSlice]) -> None:
        """Take in what was listed, and follow what changes."""
        self._store.services.apply(services)
        self._store.endpoint_slices.apply(slices)
        self._tasks.start(self._store.services.follow(self._services), f"following {self._services}")
        self._tasks.start(self._store.endpoint_slices.follow(self._slices), f"following {self._slices}")

    async def end(self) -> None:
        """Follow it no more."""
        await self._tasks.end()


class Informer:
    """Fills a store with the namespaces that somebody wants, and keeps it up to date.

    Args:
        api, requests: the API server of `connection`.
        reachability: waited for after a failure.
    """

    def __init__(
        self,
        connection: Connection,
        store: Store,
        *,
        api: Api,
        requests: Requests,
        reachability: Reachability,
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._store = store
        self._api = api
        self._requests = requests
        self._reachability = reachability
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        self._busy = asyncio.Lock()

    async def cover(self, selection: Selection, namespace: str) -> Coverage:
        """List what a selection needs and what is not followed yet, and follow it from then on.

        Args:
            namespace: the context's namespace, for a selection that names none.

        Raises:
            LocalizeError: nothing of it can be listed.
        """
        wanted = selecting.watched_namespaces(selection, namespace) or ("",)
        async with self._busy:
            try:
                return await self._cover(wanted)
            except ForbiddenError as error:
                if wanted != ("",):
                    raise await self._explained(error) from error
                return await self._fall_back(error, namespace)
            except KubectlError as error:
                raise await self._explained(error) from error

    async def keep(self, namespaces: Collection[str]) -> None:
        """Follow no more than these namespaces; if all are followed at once, that goes on for any of them."""
        async with self._busy:
            for namespace in list(self._followed):
                if namespace not in namespaces and (namespace or not namespaces):
                    await self._drop(namespace)

    async def services_elsewhere(self) -> list[ServiceKey]:
        """All Services of the cluster, to guess what a name that matches nothing was meant for; none if it takes long.

        Only to be asked when something went wrong: it is one list more.
        """
        if "" in self._followed:
            return self._store.keys()
        try:
            async with asyncio.timeout(GUESS_SECONDS):
                services = await self._watch(SERVICES, "").list()
        except (KubectlError, TimeoutError):
            return self._store.keys()
        return [service.key for service in services.objects.values()]

    async def _cover(self, wanted: tuple[str, ...]) -> Coverage:
        """See `cover`; a forbidden namespace becomes a warning, unless all of them are forbidden."""
        everywhere = "" in self._followed
        new = [] if everywhere else [namespace for namespace in wanted if namespace not in self._followed]
        entries = [self._entry(namespace) for namespace in new]
        results = await asyncio.gather(*(entry.list() for entry in entries), return_exceptions=True)
        refused: dict[str, ForbiddenError] = {}
        listed: dict[str, tuple[_Followed, Listed[Service], Listed[EndpointSlice]]] = {}
        for namespace, entry, result in zip(new, entries, results, strict=True):
            if isinstance(result, ForbiddenError):
                refused[namespace] = result
            elif isinstance(result, BaseException):
                raise result
            else:
                listed[namespace] = entry, *result
        if len(refused) == len(wanted):
            raise next(iter(refused.values()))
        empty = [namespace for namespace, (_, services, _) in listed.items() if not services.objects]
        await asyncio.gather(*map(self._check_exists, wanted if everywhere else empty))
        for namespace, (entry, services, slices) in listed.items():
            self._followed[namespace] = entry
            entry.begin(services, slices)
        if "" in listed:  # which has the others in it
            for namespace in [namespace for namespace in self._followed if namespace]:
                await self._followed.pop(namespace).end()
        covered = ("",) if everywhere else tuple(namespace for namespace in wanted if namespace not in refused)
        warnings = (f"you may not list Services and EndpointSlices in namespace {namespace}" for namespace in refused)
        return Coverage(covered, tuple(warnings))

    async def _fall_back(self, refusal: ForbiddenError, namespace: str) -> Coverage:
        try:
            coverage = await self._cover((namespace,))
        except KubectlError as error:
            raise await self._explained(error) from error
        log.info("cluster-wide list: %s", refusal.message)
        warning = (
            f"you may not list Services in all namespaces; only namespace {namespace} is forwarded"
            " (name others with -n)"
        )
        return Coverage(coverage.namespaces, (warning,))

    async def _drop(self, namespace: str) -> None:
        await self._followed.pop(namespace).end()
        self._store.services.apply(Listed(namespace, {}))
        self._store.endpoint_slices.apply(Listed(namespace, {}))

    def _entry(self, namespace: str) -> _Followed:
        return _Followed(self._store, self._watch(SERVICES, namespace), self._watch(ENDPOINT_SLICES, namespace))

    async def _check_exists(self, namespace: str) -> None:
        services = self._store.services.objects.values()
        if not namespace or any(service.key.namespace == namespace for service in services):
            return  # a namespace that does not exist lists as an empty one
        if not await self._api.namespace_exists(namespace):
            raise NoNamespaceError(namespace)

    def _watch(self, resource: Resource[T], namespace: str) -> Watch[T]:
        return Watch(
            self._requests, resource, namespace=namespace, selector="", reachability=self._reachability,
            clock=self._clock,
        )  # fmt: skip

    def problems(self) -> list[str]:
        """Why what is shown may be out of date."""
        watches: list[Watch[Any]] = [watch for entry in self._followed.values() for watch in entry.watches]
        return sorted({f"the cluster is not being followed: {watch.problem}" for watch in watches if watch.problem})

    async def end(self) -> None:
        """Stop following."""
        for followed in self._followed.values():
            await followed.end()

    async def _explained(self, error: KubectlError) -> LocalizeError:
        """The error in the user's words, with what to do about it."""
        if not isinstance(error, NoNamespaceError):
            return _explained(error, self._connection)
        from difflib import get_close_matches

        try:
            async with asyncio.timeout(GUESS_SECONDS):
                items = await self._api.items("v1", "namespaces", "")
        except (KubectlError, TimeoutError):
            items = []
        similar = get_close_matches(error.namespace, [item["metadata"]["name"] for item in items], 1)
        return NotFoundError(
            f"there is no namespace {error.namespace} in context {self._connection.context}",
            f"did you mean -n {similar[0]}?" if similar else "`kubectl get namespaces` lists those that exist",
        )


class NoNamespaceError(NotFoundError):
    """There is no namespace of this name."""

    def __init__(self, namespace: str) -> None:
        super().__init__(f"there is no namespace {namespace}")
        self.namespace = namespace


def _explained(error: KubectlError, connection: Connection) -> LocalizeError:
    """The error in the user's words, with what to do about it."""
    match error:
        case UnreachableError() | UnauthorizedError() | ConfigurationError():
            return explained(error, connection)
        case ForbiddenError():
            return ForbiddenError(
                f"you may not list Services and EndpointSlices: {error.message}",
                "name a namespace that you may read with -n, or ask for list and watch on both there",
            )
        case BadRequestError():
            return BadRequestError(
                f"the API server does not understand the request: {error.message}",
                "check -l, such as -l app=web or -l 'tier in (front,back)'",
            )
        case _:
            return KubectlError(error.message, "`kubectl localize logs` may say more")
