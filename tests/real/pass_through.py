"""A kubectl whose `proxy` stops at one request that changes something; everything else is the real kubectl's.

PassThrough (crashing.py) writes it into a directory of the PATH, behind a line with SETTINGS: `real` is the real
kubectl, `calls` the directory in which requests are noted, `stop_at` the number of the one to stop at (0: none), `when`
whether it stops `before` the API server hears of it or `after` it has been done, of which nobody hears then, `method`
which requests count (empty: all).
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

SETTINGS = globals().get("SETTINGS", {})
FLAG = "--unix-socket="
CHANGES = re.compile(rb"(POST|PUT|PATCH|DELETE) (\S+) ")
HARMLESS = re.compile(rb"dryRun=|/selfsubject|/events\b")  # an Event is never undone
BLOCK = 65536


def number_of(call: bytes) -> int:
    """Note a request; its number, from 1 on. A directory for each makes two at once two."""
    number = 1
    while True:
        directory = Path(SETTINGS["calls"]) / str(number)
        try:
            directory.mkdir()
        except FileExistsError:
            number += 1
            continue
        (directory / "call").write_bytes(call)
        return number


def stand_still() -> None:
    """Say that it stands at its request, and wait for the end."""
    (Path(SETTINGS["calls"]) / "reached").touch()
    threading.Event().wait()


def read_request(client: socket.socket, pending: bytes) -> tuple[bytes, bytes]:
    """The next request with its body, and what was read beyond it; an empty one at the end of the connection."""
    while b"\r\n\r\n" not in pending:
        block = client.recv(BLOCK)
        if not block:
            return b"", b""
        pending += block
    head, _, rest = pending.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    size = int(length[1]) if length else 0
    while len(rest) < size:
        rest += client.recv(BLOCK)
    return head + b"\r\n\r\n" + rest[:size], rest[size:]


class Exchange:
    """One connection of the product's, and the one to the real proxy that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client = client
        self._server = server
        self._held = False

    def run(self) -> None:
        """Pass requests on until either side ends."""
        threading.Thread(target=self._answers, daemon=True).start()
        pending = b""
        with contextlib.suppress(OSError):
            while True:
                request, pending = read_request(self._client, pending)
                if not request:
                    break
                self._pass_on(request)
        for connection in (self._server, self._client):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _pass_on(self, request: bytes) -> None:
        change = CHANGES.match(request)
        stops = False
        counts = change and SETTINGS["method"].encode() in (b"", change[1])
        if change and counts and not HARMLESS.search(change[2]):
            stops = number_of(change[1] + b" " + change[2]) == SETTINGS["stop_at"]
        if stops and SETTINGS["when"] == "before":
            stand_still()
        self._held = stops
        self._server.sendall(request)

    def _answers(self) -> None:
        with contextlib.suppress(OSError):
            while block := self._server.recv(BLOCK):
                if self._held:
                    stand_still()
                self._client.sendall(block)
        with contextlib.suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)


def serve(listener: socket.socket, upstream: str) -> None:
    """Have a thread for each connection."""
    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(upstream)
        threading.Thread(target=Exchange(client, server).run, daemon=True).start()


def main() -> None:
    """Be the real kubectl, or stand in front of its `proxy`."""
    flags = [word for word in sys.argv if word.startswith(FLAG)]
    if "proxy" not in sys.argv or not flags:
        os.execv(SETTINGS["real"], [SETTINGS["real"], *sys.argv[1:]])
    name = flags[0].removeprefix(FLAG)
    upstream = f"{name}.real"
    argv = [SETTINGS["real"], *(word.replace(flags[0], FLAG + upstream) for word in sys.argv[1:])]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as proxy, socket.socket(socket.AF_UNIX) as listener:
        assert proxy.stdout is not None
        line = proxy.stdout.readline()
        if not line:
            sys.exit(proxy.wait())
        listener.bind(name)
        listener.listen(64)
        threading.Thread(target=serve, args=(listener, upstream), daemon=True).start()
        print(line, end="", flush=True)
        sys.exit(proxy.wait())


if __name__ == "__main__":
    main()
