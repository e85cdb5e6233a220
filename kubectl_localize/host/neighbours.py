"""Which sockets of this machine's other users would get connections that are meant for our addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Protocol

from kubectl_localize.host.system.listeners import Listener, at

LOOK_SECONDS = 1.0
ROOT = 0


class ListenerSource(Protocol):
    """Knows what listens on this machine (`host.system.System`)."""

    def listeners(self) -> Sequence[Listener]: ...


class Neighbours:
    """Other users' sockets. The kernel's tables are read once for all ports that are asked for at the same time.

    Args:
        source: knows what listens; nothing is known if it does not.
        uid: this user. Root's sockets are as good as this user's: root can do anything anyway.
        now: a clock, in seconds.
    """

    def __init__(self, source: ListenerSource, uid: int, now: Callable[[], float]) -> None:
        self._source = source
        self._uid = uid
        self._now = now
        self._looked_at = float("-inf")
        self._listeners: Sequence[Listener] = ()

    def at(self, address: str, port: int) -> Listener | None:
        """The socket of another user that a connection to this address and port reaches; None if there is none."""
        if self._now() - self._looked_at >= LOOK_SECONDS:
            self._looked_at = self._now()
            self._listeners = self._source.listeners()
        listener = at(self._listeners, ipaddress.ip_address(address), port)
        return None if listener is None or listener.uid in (ROOT, self._uid) else listener
