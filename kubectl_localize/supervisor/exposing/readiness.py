"""Answers the exposure pods' readiness probes, which the kubelet sends through `ssh -R` to this machine."""

from __future__ import annotations

import asyncio
import contextlib

from kubectl_localize.cluster.exposing.failsafe import announcement
from kubectl_localize.cluster.exposing.pod import readiness

READY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NOT_READY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
REQUEST_SECONDS = 5.0


class ReadinessServer:
    """Says by HTTP that this supervisor lives, to the probe of each pod whose failsafe has told it of its proof.

    Attributes:
        heard: set when a pod of ours has asked, Ready or not: its session reaches this machine.
        number: the port that it listens on.
    """

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._announced: dict[bytes, bytes] = {}  # by the path of each: the path of the probe that it makes ready
        self._ready: set[bytes] = set()
        self.heard = asyncio.Event()
        self.number = 0

    async def listen(self) -> None:
        """Listen on a loopback port of the kernel's choice, which `number` then is.

        Raises:
            OSError: no port is left.
        """
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.number = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def expect(self, nonce: str, *, failsafe: bool) -> None:
        """Answer one more pod.

        Args:
            nonce: the pod's.
            failsafe: whether it has one, which has to tell of its proof first.
        """
        probe = readiness(nonce).encode()
        if failsafe:
            self._announced[announcement(nonce).encode()] = probe
        else:
            self._ready.add(probe)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(READY if self._hears(head) else NOT_READY)
        writer.close()

    def _hears(self, head: bytes) -> bool:
        """Return whether it is a pod's failsafe, which makes that one ready, or the probe of a pod that is."""
        path = b"".join(head.split(b" ", 2)[1:2])
        if path in self._announced or path in self._ready or path in self._announced.values():
            self.heard.set()
        if path in self._announced:
            self._ready.add(self._announced[path])
            return True
        return path in self._ready
