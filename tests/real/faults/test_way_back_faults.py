"""A way back while the API server cannot be reached: the exposure ends when it is there again."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.crashing import REPLICAS, open_port, open_web, wait_tidy
from tests.real.exposing import expose, replicas
from tests.real.product import Product
from tests.real.sandbox import Sandbox


class Detour:
    """A port of this machine that leads to the API server, until it is cut."""

    def __init__(self, server: str) -> None:
        url = urlsplit(server)
        self._target = (url.hostname or "", url.port or 443)
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.mend()

    def mend(self) -> None:
        """Lead there, again."""
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """Lead nowhere: refuse connections, and end those that there are."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
                self._connections += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=_carry, args=(source, sink), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def detour(sandbox: Sandbox) -> Iterator[Detour]:
    """The user's way to the API server."""
    config = json.loads(sandbox.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    cluster = config["clusters"][0]["cluster"]
    made = Detour(cluster["server"])
    host = urlsplit(cluster["server"]).hostname
    cluster |= {"server": f"https://127.0.0.1:{made.port}", "tls-server-name": host}
    sandbox.use(json.dumps(config))
    yield made
    made.cut()


@pytest.mark.parametrize("end", [("expose", "--stop", "WEB"), ("stop",)], ids=["expose --stop", "stop"])
def test_a_cluster_that_is_away_only_delays_the_end(
    cluster: Cluster, namespace: str, product: Product, detour: Detour, end: tuple[str, ...]
) -> None:
    sandbox = product.sandbox
    web = open_web(cluster, namespace)
    with open_port() as port:
        done = expose(sandbox, "-d", web, f"--map={port}")
        assert done.returncode == 0, done.stderr
        detour.cut()
        try:
            done = sandbox.localize(*(web if word == "WEB" else word for word in end), timeout=120)
            assert done.returncode == 1, done.stderr
            assert "could not be brought back" in done.stderr
            assert "it is tried again until it is done" in done.stderr
            assert product.items()[web]["status"] == "Restoring"
            assert replicas(cluster, namespace, "deployment/web") == 0
        finally:
            detour.mend()
        wait_until("workload", lambda: replicas(cluster, namespace, "deployment/web") == REPLICAS, 90)
        wait_tidy(cluster, sandbox, namespace)
    wait_until("end of the supervisor", lambda: product.document()["supervisors"] == [], 30)
