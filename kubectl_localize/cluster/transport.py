"""The transport: HTTP requests to the API through one `kubectl proxy`, which is started and replaced as needed.

kubectl owns kubeconfig, TLS, proxies, impersonation and credentials; a request costs milliseconds instead of a kubectl.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.api_errors import error_of_response
from kubectl_localize.cluster.proxy import Proxy, SocketPaths, Spawner
from kubectl_localize.errors import KubectlError, UnauthorizedError, UnreachableError
from kubectl_localize.json_text import parse_json
from kubectl_localize.model import Connection

if TYPE_CHECKING:
    from kubectl_localize.cluster.http_connection import Head

log = logging.getLogger(__name__)

Json = dict[str, Any]

REQUEST_SECONDS = 15.0
ATTEMPTS = 3


class Gate(Protocol):
    """Has one process at a time use credentials that are not proven yet."""

    def request(self) -> AbstractAsyncContextManager[None]: ...


class Transport:
    """Requests and streams to the API server of a connection.

    Args:
        sockets: where proxies listen, in a directory that nobody else can enter.
        spawner: starts kubectl.
        gate: lets the first request prove the credentials before port-forwards use them.
    """

    def __init__(self, connection: Connection, *, sockets: SocketPaths, spawner: Spawner, gate: Gate) -> None:
        self._connection = connection
        self._sockets = sockets
        self._spawner = spawner
        self._gate = gate
        self._proxy: Proxy | None = None
        self._started = 0
        self._renewals = 0
        self._starting = asyncio.Lock()
        self._stopping: set[asyncio.Task[None]] = set()
        self._closed = False

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Json:
        """Send one request.

        Args:
            path: with its query, such as `/api/v1/namespaces/shop/services?limit=1`.
            body: the JSON to send, a merge patch (RFC 7386) with PATCH; None sends none.

        Returns:
            The object in the response.

        Raises:
            KubectlError: it failed; the subclass names the reason.
        """
        data = json.dumps(body).encode() if body is not None else None
        try:
            async with asyncio.timeout(timeout_seconds):
                text = await self._exchange(method, path, data)
        except TimeoutError:
            raise UnreachableError(f"the API server does not answer within {timeout_seconds:g} s") from None
        try:
            document = parse_json(text)
        except ValueError as error:
            raise KubectlError(f"the API server's answer to {method} {path} is no JSON") from error
        if not isinstance(document, dict):
            raise KubectlError(f"the API server's answer to {method} {path} is no object")
        return document

    async def _exchange(self, method: str, path: str, data: bytes | None) -> bytes:
        """One request, tried again if nothing can have come of it: a read, or one that was refused as unauthorized.

        After an `Unauthorized` kubectl runs the credential plugin anew, which the next request profits from.
        """
        attempt = 1
        while True:
            try:
                return await self._attempt(method, path, data)
            except UnauthorizedError:
                if attempt > 1:
                    raise
            except UnreachableError as error:
                if method != "GET" or attempt == ATTEMPTS or not kubectl.is_lost_connection(error.message):
                    raise
            except OSError as error:
                if method != "GET" or attempt == ATTEMPTS:
                    raise UnreachableError(f"the connection to `kubectl proxy` broke: {error}") from error
            attempt += 1

    async def _attempt(self, method: str, path: str, data: bytes | None) -> bytes:
        async with self._gate.request():
            proxy = await self._running()
            async with proxy.connection(interruptible=method == "GET") as connection:
                head = await connection.send(method, proxy.prefix + path, data)
                text = await connection.body()
            if head.code >= 400:
                raise _failure(proxy, head, text)
            return text

    @asynccontextmanager
    async def stream(
        self, path: str, *, timeout_seconds: float = REQUEST_SECONDS
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a response without end, such as a watch; entered once the API server has begun to answer.

        The iterator gives one line after the other and ends when the response does, however that comes about.

        Raises:
            KubectlError: it cannot be opened in time; the subclass names the reason.
        """
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(timeout_seconds), self._gate.request():
                    proxy = await self._running()
                    connection = await stack.enter_async_context(proxy.connection(interruptible=True))
                    head = await connection.send("GET", proxy.prefix + path, None)
                    if head.code >= 400:
                        raise _failure(proxy, head, await connection.body())
            except TimeoutError:
                raise UnreachableError(f"the API server does not answer within {timeout_seconds:g} s") from None
            except OSError as error:
                raise UnreachableError(f"the connection to `kubectl proxy` broke: {error}") from error
            yield connection.lines()

    # -- the proxy --------------------------------------------------------------------------------------------------
    async def begin(self) -> None:
        """Start the proxy before the first request needs it; if that fails, that request tries again and says why."""
        with contextlib.suppress(KubectlError):
            async with self._starting:
                await self._begun()

    def renew(self, connection: Connection | None = None) -> None:
        """Use a new proxy from the next request on. Open streams end, and watches open them again.

        Args:
            connection: what the new proxy uses; None leaves that as it is.
        """
        self._connection = connection or self._connection
        self._renewals += 1
        proxy, self._proxy = self._proxy, None
        if proxy is not None:
            self._retire(proxy)

    async def close(self) -> None:
        """End the proxy; requests that are under way fail."""
        self._closed = True
        async with self._starting:
            self.renew()
        await asyncio.gather(*self._stopping)

    async def _running(self) -> Proxy:
        async with self._starting:
            while True:
                proxy = await self._begun()
                try:
                    await proxy.listen()
                except BaseException as error:
                    if isinstance(error, KubectlError) and proxy.retired:  # it was ended by `renew`
                        continue
                    self.renew()
                    raise
                if not proxy.retired:
                    return proxy

    async def _begun(self) -> Proxy:
        """The proxy, which may not listen yet."""
        if self._closed:
            raise KubectlError("the supervisor is ending")
        if self._proxy is not None and self._proxy.listens and not self._proxy.process.alive:
            log.warning("`kubectl proxy` has ended: %s", kubectl.explain(self._proxy.process.tail, 1).message)
            self.renew()
        while self._proxy is None:
            self._started += 1
            renewals, name = self._renewals, f"api-{self._started}.sock"
            proxy = await Proxy.start(self._connection, self._sockets, name, self._spawner)
            if renewals == self._renewals:
                self._proxy = proxy
            else:  # it was to be renewed while it started, and may have read the kubeconfig as it was before
                self._retire(proxy)
        return self._proxy

    def _retire(self, proxy: Proxy) -> None:
        """End a proxy in the background, as soon as the writes that go through it are answered."""
        proxy.retire()
        task = asyncio.create_task(proxy.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


def _failure(proxy: Proxy, head: Head, body: bytes) -> KubectlError:
    """The error that a response means; a credential plugin says on stderr why it failed, and the response does not."""
    error = error_of_response(head.code, head.content_type, body)
    if isinstance(error, UnauthorizedError) and (words := kubectl.plugin_words(proxy.process.tail)):
        return UnauthorizedError(f"{error.message}: {words}")
    return error
