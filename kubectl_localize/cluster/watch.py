"""A list and then an endless watch of one resource, as a stream of events; it survives every loss of the connection.

The protocol is Kubernetes' (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes):
a list gives a resourceVersion, a watch from there sends one JSON event a line, bookmarks move the version on, any end
means resume, and 410 means list anew.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.api_errors import error_of_status
from kubectl_localize.errors import GoneError, KubectlError, UnauthorizedError
from kubectl_localize.json_text import parse_json
from kubectl_localize.timing import Backoff, Clock

T = TypeVar("T")
log = logging.getLogger(__name__)

PAGE_SIZE = 1000
AFTER_FAILURE = Backoff(first_seconds=0.2, longest_seconds=10.0)
AFTER_QUICK_END = Backoff(first_seconds=0.2, longest_seconds=1.0)
QUICK_SECONDS = 1.0
UNAUTHORIZED_FAILURES = 3  # a pause of a second, at least: each request may have a credential plugin ask its user


@dataclass(frozen=True)
class Listed(Generic[T]):
    """All objects of a namespace (of the cluster, if it is empty) by `namespace/name`: any other is gone."""

    namespace: str
    objects: Mapping[str, T]


@dataclass(frozen=True)
class Put(Generic[T]):
    """The object of this `namespace/name` is new or has changed."""

    identity: str
    value: T


@dataclass(frozen=True)
class Removed:
    """The object of this `namespace/name` is gone, or of no interest any more."""

    identity: str


WatchEvent = Listed[T] | Put[T] | Removed


@dataclass(frozen=True)
class Resource(Generic[T]):
    """A kind of object: where it lives in the API, and how one is read.

    Args:
        group_version: `v1` or `discovery.k8s.io/v1`.
        plural: `services`.
        parse: an object's JSON to a value; None if it is of no interest.
    """

    group_version: str
    plural: str
    parse: Callable[[Mapping[str, Any]], T | None]


class Requests(Protocol):
    """What a watch needs of `cluster.transport.Transport`."""

    async def request(self, method: str, path: str) -> dict[str, Any]: ...

    def stream(self, path: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]: ...


class Reachability(Protocol):
    """Whether the API server can be reached."""

    async def wait_up(self) -> None: ...


class Watch(Generic[T]):
    """Lists and watches one resource in one namespace (in all namespaces, if it is empty).

    `problem` says why events may be missing at the moment; empty if all is well.

    Args:
        selector: a label selector; empty for all objects.
        reachability: waited for after a failure.
        name: the one object that is of interest; empty for all.
    """

    def __init__(
        self,
        requests: Requests,
        resource: Resource[T],
        *,
        namespace: str,
        selector: str,
        reachability: Reachability,
        clock: Clock,
        name: str = "",
    ) -> None:
        self._requests = requests
        self._resource = resource
        self._namespace = namespace
        self._query = {
            **({"labelSelector": selector} if selector else {}),
            **({"fieldSelector": f"metadata.name={name}"} if name else {}),
        }
        self._reachability = reachability
        self._clock = clock
        self._version = ""
        self.problem = ""

    def __str__(self) -> str:
        return f"{self._resource.plural} in {self._namespace or 'all namespaces'}"

    async def list(self) -> Listed[T]:
        """List everything; `events` goes on from there.

        Raises:
            KubectlError: it failed; the subclass names the reason.
        """
        objects: dict[str, T] = {}
        query = {**self._query, "limit": str(PAGE_SIZE)}
        while True:
            page = await self._requests.request("GET", self._path(query))
            try:
                for item in page.get("items") or ():
                    value = self._resource.parse(item)
                    if value is not None:
                        objects[_identity(item)] = value
                version, token = page["metadata"]["resourceVersion"], page["metadata"].get("continue")
            except (AttributeError, KeyError, TypeError) as error:
                raise KubectlError(f"the API server's answer to {self._path({})} is no list") from error
            if not token:
                break
            query = {**query, "continue": token}
        self._version = version
        self.problem = ""
        return Listed(self._namespace, objects)

    async def events(self) -> AsyncGenerator[WatchEvent[T], None]:
        """What changes, without end; a list where changes may have been missed."""
        failures = quick_ends = expiries = 0
        while True:
            began = self._clock.now()
            try:
                if not self._version:
                    yield await self.list()
                received = False
                async with self._requests.stream(self._watch_path()) as lines:
                    self.problem = ""
                    async for line in lines:
                        event = self._read(line)
                        received = True
                        failures = expiries = 0
                        if event is not None:
                            yield event
                failures = expiries = 0
                # A load balancer that cuts quiet connections is no failure; a server that ends each watch at once is.
                if received or self._clock.now() - began >= QUICK_SECONDS:
                    quick_ends = 0
                    continue
                quick_ends += 1
                pause_seconds = AFTER_QUICK_END.seconds(quick_ends)
            except KubectlError as error:
                if isinstance(error, GoneError) and self._version:
                    self._version = ""
                    expiries += 1
                    if expiries == 1:
                        continue
                    pause_seconds = AFTER_FAILURE.seconds(expiries - 1)  # a list costs the server much
                else:
                    self.problem = error.message
                    log.warning("watch of %s: %s", self, error.message)
                    failures = max(failures + 1, UNAUTHORIZED_FAILURES if isinstance(error, UnauthorizedError) else 0)
                    pause_seconds = AFTER_FAILURE.seconds(failures)
            await self._clock.sleep(pause_seconds)
            await self._reachability.wait_up()

    def _read(self, line: bytes) -> Put[T] | Removed | None:
        """Parse one line of a watch; None if it only gives a newer resourceVersion.

        Raises:
            GoneError: the version is too old.
            KubectlError: any other failure, or it is no event.
        """
        try:
            event = parse_json(line)
            kind, item = event["type"], event["object"]
            if kind == "ERROR":
                raise error_of_status(item)
            self._version = item["metadata"]["resourceVersion"]
            if kind == "DELETED":
                return Removed(_identity(item))
            if kind not in ("ADDED", "MODIFIED"):
                return None
            value = self._resource.parse(item)
            return Removed(_identity(item)) if value is None else Put(_identity(item), value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise KubectlError(f"the API server sends what is no watch event: {line[:80]!r}") from error

    def _watch_path(self) -> str:
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._version}
        return self._path({**self._query, **query})

    def _path(self, query: Mapping[str, str]) -> str:
        return kubectl.raw_path(self._resource.group_version, self._resource.plural, self._namespace, query)


def _identity(item: Mapping[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
