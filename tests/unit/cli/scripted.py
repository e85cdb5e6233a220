"""The other end of the control socket, which says what a test has it say, whatever is asked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.sockets import socket_address

Event = dict[str, Any]
Script = Mapping[str, Sequence[Event]]
GONE: Event = {"event": "gone"}  # not said: the connection ends there, as with a supervisor that was killed
# Not said: the command's terminal is closed at that moment, or it is told to end.
HANG_UP: Event = {"event": "signal", "number": signal.SIGHUP}
TERMINATE: Event = {"event": "signal", "number": signal.SIGTERM}

NOT_ANY_MORE: Event = {"event": "unlink"}  # not said: nobody else can connect from now on


class Scripted:
    """Accepts commands one after the other.

    Args:
        scripts: for each command, the events that follow each of its requests, and what happens when it has closed
            the connection (`closed`). That stays open until GONE or `ended` is among them, or the command closes it.
    """

    def __init__(self, run: RunPaths, scripts: Sequence[Script]) -> None:
        self.asked: list[str] = []  # every request's `op`
        self.answers: list[bool] = []  # to our questions
        self._scripts = scripts
        self._path = run.control
        self._listener = socket.socket(socket.AF_UNIX)
        with socket_address(run.control) as address:
            self._listener.bind(address)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for script in self._scripts:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection, connection.makefile() as requests:
                    self._answer(connection, map(self._op, requests), script)

    def _op(self, line: str) -> str:
        request = json.loads(line)
        if request["op"] == "answer":
            self.answers.append(request["granted"])
        return str(request["op"])

    def _answer(self, connection: socket.socket, ops: Iterator[str], script: Script) -> None:
        for op in ops:
            self.asked.append(op)
            for event in script.get(op, ()):
                if event["event"] == "signal":
                    os.kill(os.getpid(), event["number"])
                elif event == NOT_ANY_MORE:
                    self._path.unlink()
                elif event != GONE:
                    connection.sendall(json.dumps(event).encode() + b"\n")
                if event["event"] in ("gone", "ended"):
                    return
        for event in script.get("closed", ()):
            os.kill(os.getpid(), event["number"])

    def close(self) -> None:
        """Stop accepting."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@contextlib.contextmanager
def scripted(run: RunPaths, *scripts: Script) -> Iterator[Scripted]:
    """A supervisor of that kind at a context's control socket."""
    run.directory.mkdir(parents=True, exist_ok=True)
    found = Scripted(run, scripts)
    try:
        yield found
    finally:
        found.close()
