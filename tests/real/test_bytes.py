"""What is sent arrives: both ways, much of it, at the same time, and beside clients that behave badly."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.commands import wait_until
from tests.real.product import Product
from tests.real.shop import Shop

# Sends and fetches at the same time; prints how many bytes arrived on either side.
TRANSFER = """
import sys, urllib.request as u
from concurrent.futures import ThreadPoolExecutor
opener = u.build_opener(u.ProxyHandler({}))
url, size = sys.argv[1], int(sys.argv[2])
def up(_): return int(opener.open(url, data=b"y" * size, timeout=60).read())
def down(_):
    data = opener.open(f"{url}bytes?n={size}", timeout=60).read()
    assert data == b"x" * len(data)
    return len(data)
with ThreadPoolExecutor(8) as pool:
    print(*pool.map(up, range(4)), *pool.map(down, range(4)))
"""
# Asks for a lot and reads none of it until it is told to; then counts.
LAZY = """
import http.client, sys
from urllib.parse import urlsplit
url, size = urlsplit(sys.argv[1]), int(sys.argv[2])
connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
connection.request("GET", f"/bytes?n={size}")
answer = connection.getresponse()
print("asked", flush=True)
while not __import__("os").path.exists("go-on"):
    __import__("time").sleep(0.05)
print(len(answer.read()), flush=True)
"""
# A client that has said all it wants to says so, and waits for the answer.
HALF_CLOSED = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as connection:
    connection.sendall(b"GET /bytes?n=300000 HTTP/1.0\\r\\n\\r\\n")
    connection.shutdown(socket.SHUT_WR)
    received = b""
    while block := connection.recv(65536):
        received += block
    print(len(received.partition(b"\\r\\n\\r\\n")[2]))
"""


def _memory_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def test_both_ways_at_the_same_time(shop: Shop, laptop: Product) -> None:
    size = 10_000_000
    counted = laptop.sandbox.python(TRANSFER, shop.url("web", 7080), str(size), timeout=120)
    assert counted.split() == [str(size)] * 8


def test_the_end_of_a_request_is_passed_on(shop: Shop, laptop: Product) -> None:
    address = laptop.items()[f"{shop.namespace}/web"]["address"]
    assert laptop.sandbox.python(HALF_CLOSED, address, "7080") == "300000"


def test_a_client_that_stops_reading_costs_little_and_disturbs_no_other(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web")
    size = 100_000_000
    url = shop.url("web", 7080)
    assert product.fetch_all(url)[0].startswith("web-")
    pid = product.pid()
    before = _memory_mb(pid)

    def served() -> bool:
        return all(answer.startswith("web-") for answer in product.fetch_all(*[url] * 10, timeout=3))

    lazy = product.sandbox.spawn("/usr/bin/python3", "-c", LAZY, url, str(size))
    assert lazy.stdout is not None
    with lazy.stdout as said:
        assert said.readline() == "asked\n"
        wait_until("new connections beside it", served, 20)
        assert all(served() for _ in range(5))
        assert _memory_mb(pid) - before < 10, "the supervisor has taken in what nobody reads"
        (product.sandbox.home / "go-on").touch()
        assert said.readline() == f"{size}\n"
        assert lazy.wait(20) == 0
    product.stop()


def test_clients_that_go_away_leave_nothing(shop: Shop, product: Product) -> None:
    """Connections that end at once, in every way, are not counted for ever."""
    product.detach("-n", shop.namespace, "web")
    address = product.items()[f"{shop.namespace}/web"]["address"]
    code = (
        "import socket, struct, sys\n"
        "for turn in range(60):\n"
        "    one = socket.create_connection((sys.argv[1], 7080))\n"
        "    if turn % 3: one.sendall(b'GET /bytes?n=9000000 HTTP/1.0\\r\\n\\r\\n')\n"
        "    if turn % 2: one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n"
        "    one.close()\n"
    )
    product.sandbox.python(code, address)
    product.wait_item(f"{shop.namespace}/web", "unused", lambda item: item["ports"][0]["connections"] == 0)
    assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
    descriptors = Path(f"/proc/{product.pid()}/fd")
    wait_until("closed descriptors", lambda: len(list(descriptors.iterdir())) < 60, 20)
    product.stop()
