"""Answers the exposure pods' readiness probes, which the kubelet sends through `ssh -R` to this machine."""

from __future__ import annotations

import asyncio
import contextlib

from kubectl_localize.cluster.exposing.failsafe import announcement
from kubectl_localize.cluster.exposing.pod import readiness
from kubectl_localize.supervisor.traffic.relay import reset
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog

READY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
NOT_READY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
REQUEST_SECONDS = 3.0  # the probe gives up then
REQUEST_BYTES = 4096
MOST_CONNECTIONS = 64  # a probe and a failsafe ask once a second each


class ReadinessServer:
    """Says by HTTP that this supervisor lives, to the probe of each pod whose failsafe has told it of its proof.

    Everybody who reaches the pod reaches this, through our own ssh. If too many are connected, the one that has been
    for longest makes room: a probe says at once what it wants, and is served.

    Args:
        admission: decides who is served: only our own ssh is.
        refusals: hears of connections of others.

    Attributes:
        heard: set when a pod of ours has asked, Ready or not: its session reaches this machine.
        number: the port that it listens on.
    """

    def __init__(self, admission: Admission, refusals: RefusalLog) -> None:
        self._admission = admission
        self._refusals = refusals
        self._open: dict[asyncio.StreamWriter, None] = {}  # in the order in which they came
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
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=REQUEST_BYTES)
        self.number = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Stop listening, and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            reset(writer.transport)

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, if it is our own user's."""
        if objection := self._admission.objection(writer.get_extra_info("socket")):
            self._refusals.note(self.number, objection)
            reset(writer.transport)
            return
        if len(self._open) >= MOST_CONNECTIONS:
            self._refusals.note(self.number, f"{MOST_CONNECTIONS} are open already")
            reset(next(iter(self._open)).transport)
        self._open[writer] = None
        try:
            await self._answer(reader, writer)
        finally:
            del self._open[writer]

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
