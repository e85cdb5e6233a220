"""A short name that somebody really has in public DNS is left alone; a DNS server of our own plays the world."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.real.cluster import Cluster
from tests.real.manifests import service
from tests.real.product import Product, warnings
from tests.real.sandbox import Sandbox

pytestmark = pytest.mark.sudo  # the server needs port 53, and the sandbox an /etc/resolv.conf of root's

DOMAINS = ("museum", "travel", "jobs", "aero", "coop", "cat", "post", "tel", "asia", "mobi")


def _answer(query: bytes, known: bytes) -> bytes:
    """An A record where the name is the known one, else that there is no such name."""
    end = query.index(b"\0", 12) + 1
    question = query[12 : end + 4]
    is_known = question[:-4].lower() == known
    is_a = question[-4:-2] == b"\0\1"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("192.0.2.80") if is_known and is_a else b""
    flags = b"\x81\x80" if is_known else b"\x81\x83"
    return query[:2] + flags + b"\0\1" + (b"\0\1" if record else b"\0\0") + b"\0\0\0\0" + question + record


@contextlib.contextmanager
def _dns(name: str) -> Iterator[str]:
    """A DNS server that knows one name; its address."""
    known = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    address = f"127.{random.randrange(16, 32)}.{random.randrange(256)}.53"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))

        def serve() -> None:
            while True:
                query, client = server.recvfrom(4096)
                if query == b"end":
                    return
                server.sendto(_answer(query, known), client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield address
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                last.sendto(b"end", (address, 53))
            thread.join()


@pytest.fixture
def domain(cluster: Cluster) -> Iterator[str]:
    """A namespace that is called like a top-level domain."""
    taken = cluster.kubectl("get", "namespaces", "-o=name")
    name = random.choice([name for name in DOMAINS if f"namespace/{name}\n" not in taken])
    cluster.make_namespace(name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def test_a_name_that_public_dns_has_is_left_alone(
    cluster: Cluster, domain: str, sandboxes: Callable[..., Sandbox]
) -> None:
    cluster.apply(domain, service("web", {7080: 8080}), service("api", {7080: 8080}))
    sandbox = sandboxes()
    with _dns(f"web.{domain}") as address:
        (sandbox.etc / "resolv.conf").write_text(f"nameserver {address}\noptions timeout:1 attempts:1\n")
        assert sandbox.resolve(f"web.{domain}") == ["192.0.2.80"]
        product = Product(sandbox)
        done = product.detach("-n", domain)
        (warning,) = warnings(done)
        assert f"web.{domain}" in warning
        assert "public DNS" in warning
        items = product.items()
        assert sandbox.resolve(f"web.{domain}") == ["192.0.2.80"]
        assert sandbox.resolve(f"web.{domain}.svc") == [items[f"{domain}/web"]["address"]]
        # Where nobody is shadowed the short name works as in the cluster.
        assert sandbox.resolve(f"api.{domain}") == [items[f"{domain}/api"]["address"]]
        product.stop()
        assert sandbox.resolve(f"api.{domain}") == []
