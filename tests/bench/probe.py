"""What is run as the sandbox's user to measure: nothing but the standard library, a JSON request in, an answer out.

Each comparison takes the product and bare kubectl in turns, so that noise of the machine meets both.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

GET = b"GET / HTTP/1.0\r\n\r\n"
AT_ONCE = 50


def _start_bare(namespace: str, target: str, port: int) -> subprocess.Popen[str]:
    argv = ["kubectl", "port-forward", f"--namespace={namespace}", target, f":{port}"]
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def _local_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r":(\d+) ->", line)
    if found is None:
        raise SystemExit(f"kubectl port-forward said {line!r}")
    return int(found[1])


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextlib.contextmanager
def _bare(namespace: str, target: str, port: int) -> Iterator[int]:
    process = _start_bare(namespace, target, port)
    try:
        yield _local_port(process)
    finally:
        _end(process)


def _first_answer(host: str, port: int) -> None:
    with socket.create_connection((host, port), 60) as connection:
        connection.sendall(GET)
        if not connection.recv(1):
            raise SystemExit(f"{host}:{port} does not answer")


def _download(connection: socket.socket, size: int) -> float:
    """Megabytes a second."""
    buffer = memoryview(bytearray(1 << 20))
    began = time.perf_counter()
    connection.sendall(struct.pack("!Q", size))
    left = size
    while left:
        got = connection.recv_into(buffer[: min(left, len(buffer))])
        if not got:
            raise SystemExit(f"a download ended {left} bytes too soon")
        left -= got
    return size / (time.perf_counter() - began) / 1e6


def _round_trip(connection: socket.socket, count: int) -> float:
    """The median of `count` round trips in milliseconds."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        connection.sendall(b"x")
        connection.recv(1)
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def forwards(request: dict[str, Any]) -> dict[str, Any]:
    """Start one port-forward for each Service and hold them until stdin ends.

    AT_ONCE at a time: five hundred kubectl together time out in their TLS handshakes on two cores.
    """
    began = time.perf_counter()
    running: list[subprocess.Popen[str]] = []
    services = request["services"]
    for first_one in range(0, len(services), AT_ONCE):
        batch = [
            _start_bare(request["namespace"], f"svc/{name}", port)
            for name, port in services[first_one : first_one + AT_ONCE]
        ]
        running += batch
        for process in batch:
            _local_port(process)
    answer = {"seconds": time.perf_counter() - began, "pids": [process.pid for process in running]}
    print(json.dumps(answer), flush=True)
    sys.stdin.read()
    for process in running:
        process.terminate()
    for process in running:
        _end(process)
    return {}


def commands(request: dict[str, Any]) -> dict[str, Any]:
    """How long each of several commands takes, in turns; after[NAME] is run, but not measured, after each of NAME's."""
    taken: dict[str, list[float]] = {name: [] for name in request["commands"]}
    for _ in range(request["rounds"]):
        for name, argv in request["commands"].items():
            began = time.perf_counter()
            subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
            taken[name].append(time.perf_counter() - began)
            if name in request.get("after", {}):
                subprocess.run(request["after"][name], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return taken


def first(request: dict[str, Any]) -> dict[str, Any]:
    """From nothing to the first answer: a bare port-forward's start included, and the product's listener."""
    taken: dict[str, list[float]] = {"bare": [], "localize": []}
    for one in request["services"]:
        began = time.perf_counter()
        with _bare(request["namespace"], f"svc/{one['name']}", one["port"]) as port:
            _first_answer("127.0.0.1", port)
            taken["bare"].append(time.perf_counter() - began)
        began = time.perf_counter()
        _first_answer(one["address"], one["localPort"])
        taken["localize"].append(time.perf_counter() - began)
    return taken


def _in_turns(request: dict[str, Any], measure: Callable[[socket.socket], float]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {"bare": [], "localize": []}
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(_bare(request["namespace"], "svc/fast", request["port"]))
        ends = {"bare": ("127.0.0.1", port), "localize": (request["address"], request["port"])}
        connections = {name: stack.enter_context(socket.create_connection(end, 60)) for name, end in ends.items()}
        for connection in connections.values():
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            measure(connection)  # warm
        for turn in range(request["rounds"]):
            for name in sorted(connections, reverse=bool(turn % 2)):
                taken[name].append(measure(connections[name]))
    return taken


def download(request: dict[str, Any]) -> dict[str, Any]:
    """Megabytes a second on an open connection."""
    return _in_turns(request, lambda connection: _download(connection, request["bytes"]))


def round_trip(request: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds for a byte there and back on an open connection."""
    return _in_turns(request, lambda connection: _round_trip(connection, request["count"]))


if __name__ == "__main__":
    operations = {one.__name__: one for one in (forwards, commands, first, download, round_trip)}
    print(json.dumps(operations[sys.argv[1]](json.loads(sys.argv[2]))))
