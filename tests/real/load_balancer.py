"""A load balancer in front of the API server that freezes what is connected, or cuts what is quiet."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

LOOK_SECONDS = 0.05
BLOCK = 65536


@dataclass(eq=False)
class _Pair:
    """A client's connection and the one to the API server that belongs to it."""

    client: socket.socket
    server: socket.socket
    used_at: float = field(default_factory=time.monotonic)
    opened_at: float = field(default_factory=time.monotonic)
    frozen: bool = False

    def close(self) -> None:
        for end in (self.client, self.server):
            end.close()


class LoadBalancer:
    """A port of this machine that leads to a server: `with LoadBalancer(host, port) as balancer`.

    Args:
        quiet_seconds: after how long without a byte a connection is dropped; None for never.
        oldest_seconds: after how long it is dropped whatever it carries; None for never.
        says_so: whether both ends hear of that; else the connection just carries nothing any more.

    Attributes:
        dropped: how many connections were.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        quiet_seconds: float | None = None,
        oldest_seconds: float | None = None,
        says_so: bool = True,
    ) -> None:
        self._address = (host, port)
        self._quiet_seconds = quiet_seconds
        self._oldest_seconds = oldest_seconds
        self._says_so = says_so
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.dropped = 0

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        port: int = self._listener.getsockname()[1]
        return port

    def freeze(self) -> int:
        """Let nothing through any more on what is connected now; new connections work. Returns how many there are."""
        with self._lock:
            living = [pair for pair in self._pairs if not pair.frozen]
            for pair in living:
                self._freeze(pair)
        return len(living)

    def __enter__(self) -> LoadBalancer:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._listener.close()
        for pair in self._pairs:
            pair.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ending.is_set():
            events = self._selector.select(LOOK_SECONDS)
            with self._lock:
                for key, _ in events:
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.data in self._pairs and not key.data.frozen:
                        self._copy(key.fileobj, key.data)  # type: ignore[arg-type]
                self._drop()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            pair = _Pair(client, socket.create_connection(self._address, 2))
        except OSError:
            client.close()
            return
        self._pairs.add(pair)
        for end in (pair.client, pair.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(end, selectors.EVENT_READ, pair)

    def _copy(self, source: socket.socket, pair: _Pair) -> None:
        target = pair.server if source is pair.client else pair.client
        pair.used_at = time.monotonic()
        try:
            data = source.recv(BLOCK)
            target.sendall(data)
        except OSError:
            data = b""
        if not data:
            self._end(pair)

    def _drop(self) -> None:
        now = time.monotonic()
        for pair in [pair for pair in self._pairs if not pair.frozen]:
            is_quiet = self._quiet_seconds is not None and now - pair.used_at > self._quiet_seconds
            is_old = self._oldest_seconds is not None and now - pair.opened_at > self._oldest_seconds
            if not is_quiet and not is_old:
                continue
            self.dropped += 1
            if self._says_so:
                self._end(pair)
            else:
                self._freeze(pair)

    def _freeze(self, pair: _Pair) -> None:
        pair.frozen = True
        for end in (pair.client, pair.server):
            self._selector.unregister(end)

    def _end(self, pair: _Pair) -> None:
        for end in (pair.client, pair.server):
            with suppress(KeyError, ValueError):
                self._selector.unregister(end)
        pair.close()
        self._pairs.discard(pair)
