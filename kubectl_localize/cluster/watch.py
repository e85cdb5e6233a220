"""One resource listed and then watched for ever through `kubectl get --raw`, whatever happens to the connection.

The protocol is Kubernetes' (https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes):
a list gives a resourceVersion, a watch from there sends one JSON event a line, bookmarks move the version on, any end
means resume, and 410 means list anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.running import Running, output, started
from kubectl_localize.errors import GoneError, KubectlError, UnauthorizedError
from kubectl_localize.model import Connection

T = TypeVar("T")
log = logging.getLogger(__name__)

LIST_TIMEOUT_SECONDS = 15.0
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PAGE_SIZE = 1000


Spawn = Callable[[list[str]], Awaitable[Running]]


@dataclass(frozen=True)
class Resource(Generic[T]):
    """A kind of object: where it lives in the API, how one is read, and where what was read goes.

    Args:
        group_version: `v1` or `discovery.k8s.io/v1`.
        plural: `services`.
        parse: an object's JSON to a value, None where it is of no interest.
        replace: takes the namespace that was listed (empty: the cluster) and everything in it, by `namespace/name`.
        put: takes `namespace/name` and the new value, or None when it is gone.
    """

    group_version: str
    plural: str
    parse: Callable[[Mapping[str, Any]], T | None]
    replace: Callable[[str, dict[str, T]], None]
    put: Callable[[str, T | None], None]


class Watch(Generic[T]):
    """Keeps one resource of one namespace (or, with an empty one, of the cluster) up to date."""

    def __init__(
        self,
        connection: Connection,
        resource: Resource[T],
        *,
        namespace: str,
        selector: str,
        spawn: Spawn,
        reachable: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._resource = resource
        self._namespace = namespace
        self._query = {"labelSelector": selector} if selector else {}
        self._spawn = spawn
        self._reachable = reachable
        self._version = ""
        self._process: Running | None = None
        self._what = f"{resource.plural} in {namespace or 'all namespaces'}"
        self.problem = ""

    async def list(self) -> int:
        """List everything and hand it over.

        Returns: how many objects there are.
        Raises: KubectlError (a subclass that names the reason) when kubectl fails.
        """
        found: dict[str, T] = {}
        query = {**self._query, "limit": str(PAGE_SIZE)}
        while True:
            page = await self._page(query)
            for item in page.get("items") or ():
                value = self._resource.parse(item)
                if value is not None:
                    found[_identity(item)] = value
            token = page["metadata"].get("continue")
            if not token:
                break
            query = {**query, "continue": token}
        self._version = page["metadata"]["resourceVersion"]
        self.problem = ""
        self._resource.replace(self._namespace, found)
        return len(found)

    async def _page(self, query: Mapping[str, str]) -> dict[str, Any]:
        command = kubectl.get_raw(self._connection, self._path(query), timeout_seconds=LIST_TIMEOUT_SECONDS)
        text = await output(self._spawn(command), LIST_TIMEOUT_SECONDS + 5)
        try:
            page: dict[str, Any] = json.loads(text)
            page["metadata"]["resourceVersion"]
        except (ValueError, KeyError, TypeError) as error:
            raise KubectlError(f"kubectl's answer to {self._path({})} is no list") from error
        return page

    def _path(self, query: Mapping[str, str]) -> str:
        return kubectl.raw_path(self._resource.group_version, self._resource.plural, self._namespace, query)

    async def renew(self) -> None:
        """End the stream that is running, so that a fresh one takes over where it was."""
        process, self._process = self._process, None
        if process is not None:
            await process.stop()

    async def run(self) -> None:
        """Watch until cancelled, after `list` has been called once."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self.list()
                if await self._stream():
                    failures = 0
                    continue
                self.problem = ""
            except GoneError:
                if self._version:
                    self._version = ""
                    continue
            except KubectlError as error:
                self.problem = error.message
                self._version = ""  # a list says at once that it works again; a watch may be silent for a minute
                log.warning("watch of %s: %s", self._what, error.message)
                if isinstance(error, UnauthorizedError):
                    failures = max(failures, 2)
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            failures += 1
            await self._reachable()

    async def _stream(self) -> bool:
        """Follow one `kubectl get --raw …watch=1` to its end; whether to go on at once."""
        query = {**self._query, "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": self._version}
        process = self._process = await started(self._spawn(kubectl.get_raw(self._connection, self._path(query))))
        events = 0
        try:
            while line := await process.stdout.readline():
                self._event(line)
                events += 1
                self.problem = ""
            code = await process.wait()
            if self._process is not process:  # renewed
                return True
            if code and not events:
                raise kubectl.explain(process.tail, code)
        except (ValueError, KeyError, TypeError) as error:  # half a line at the end of a cut stream, no event at all
            log.info("watch of %s: %s", self._what, error)
        finally:
            self._process = None
            await process.stop()
        return bool(events)

    def _event(self, line: bytes) -> None:
        event = json.loads(line)
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == 410:
                raise GoneError("the watch is too old to resume")
            raise KubectlError(item.get("message") or "the API server ended the watch")
        self._version = item["metadata"]["resourceVersion"]
        if kind in ("ADDED", "MODIFIED"):
            self._resource.put(_identity(item), self._resource.parse(item))
        elif kind == "DELETED":
            self._resource.put(_identity(item), None)


def _identity(item: Mapping[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
