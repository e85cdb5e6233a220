"""Whether the API server can be reached, found out by connecting to it; nothing is ever sent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol
from urllib.parse import urlsplit

from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Connection
from kubectl_localize.timing import Notifier

log = logging.getLogger(__name__)

PROBE_SECONDS = 2.0
PROBE_AFTER_MISS_SECONDS = 0.3
CONNECT_SECONDS = 0.5
SLEEP_SECONDS = 1.5


def probe_address(connection: Connection) -> tuple[str, int]:
    """Host and port of the API server, or of the proxy in front of it.

    Raises:
        LocalizeError: the URL of one of them has no valid port.
    """
    address = connection.proxy or connection.server
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError as error:
        raise LocalizeError(
            f"context {connection.context} has the server address {address}, which is invalid: {error}",
            "`kubectl config view` shows it, `kubectl config set-cluster` changes it",
        ) from error
    default = {"https": 443, "http": 80, "socks5": 1080}.get(url.scheme, 443)
    return url.hostname or "localhost", port or default


class Renewable(Protocol):
    """Has connections to the cluster that are to be made anew after an outage or a sleep."""

    def renew(self) -> None: ...


class ApiServerProbe:
    """Probes the API server and says when it comes back after having been away.

    Args:
        resolve: a host's addresses; empty if nobody knows it.
        boot_ahead: seconds by which boot time is ahead of monotonic time; it jumps when the machine has slept.
        changed: fired when the link goes away or comes back.
        renewable: is renewed when it is back, after an outage or a sleep.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        resolve: Callable[[str], Awaitable[list[str]]],
        boot_ahead: Callable[[], float],
        changed: Notifier,
        renewable: Renewable,
    ) -> None:
        self._address = address
        self._resolve = resolve
        self._boot_ahead = boot_ahead
        self._changed = changed
        self._renewable = renewable
        self._slept = boot_ahead()
        self._resolved: list[str] = []
        self._proven = False
        self.up = True

    def move(self, address: tuple[str, int]) -> None:
        """Probe another address from now on."""
        if address != self._address:
            self._address = address
            self._resolved = []

    async def wait_up(self) -> None:
        """Return as soon as the API server can be reached."""
        while not self.up:
            await self._changed.wait()

    async def run(self) -> None:
        """Probe until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            reached = await self._probe()
            self._note(reached)
            pause = PROBE_SECONDS if reached else PROBE_AFTER_MISS_SECONDS
            await asyncio.sleep(max(0.0, began + pause - loop.time()))

    def _note(self, reached: bool) -> None:
        slept, self._slept = self._boot_ahead() - self._slept, self._boot_ahead()
        self._proven = self._proven or reached
        if not self._proven:  # kubectl gets there by a way that we do not know; what never worked proves nothing
            return
        if self.up and not reached:
            log.warning("the API server at %s:%d does not answer", *self._address)
            self.up = False
            self._changed.fire()
        elif reached and (not self.up or slept > SLEEP_SECONDS):
            log.warning("the API server at %s:%d answers again", *self._address)
            self.up = True
            self._renewable.renew()
            self._changed.fire()

    async def _probe(self) -> bool:
        """Whether one of its addresses takes a connection; names are looked up only once, and after a miss."""
        host, port = self._address
        addresses = self._resolved or await self._resolve(host)
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    _, writer = await asyncio.open_connection(address, port)
            except (OSError, TimeoutError):
                continue
            if (host, port) == self._address:  # it may have moved meanwhile
                # the one that answers goes first from now on
                self._resolved = sorted(addresses, key=lambda known: known != address)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            return True
        if (host, port) == self._address:
            self._resolved = []
        return False
