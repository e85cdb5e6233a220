"""The outside client: a program of its own that opens 20 new connections a second and never tries again."""

from __future__ import annotations

import itertools
import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tests.cluster.commands import wait_until
from tests.real.sandbox import Sandbox

PER_SECOND = 20
COUNTED_PER_SECOND = 15  # what a busy machine has to manage at least, or the test has shown nothing
PATIENCE_SECONDS = 40.0  # longer than a new connection is held

# Every connection has a thread of its own: one that waits holds up no other. One line for each, when it has ended.
# Where there are several targets (HOST:PORT), each connection goes to the next one.
CLIENT = r"""
import itertools, json, socket, sys, threading, time
path, per_second, patience, targets = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
said = threading.Lock()
def ask(target):
    host, _, port = target.rpartition(":")
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((host, int(port)), patience) as connection:
        connection.sendall(request)
        answer = connection.makefile("rb")
        status = answer.readline()
        if not status: raise EOFError("closed without an answer")
        if b" 200 " not in status: raise ValueError(status)
        length = 0
        while (line := answer.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length": length = int(value)
        body = answer.read(length)
        if len(body) != length: raise EOFError("closed in the middle of the answer")
        return body.decode()
def attempt(target):
    began, body, error = time.monotonic(), "", ""
    try: body = ask(target)
    except (OSError, EOFError, ValueError) as problem: error = repr(problem)
    with said: print(json.dumps([began, time.monotonic(), body, error]), flush=True)
threads, stop = [], threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
due, turns = time.monotonic(), itertools.cycle(targets)
while not stop.is_set():
    threads.append(threading.Thread(target=attempt, args=(next(turns),)))
    threads[-1].start()
    due += 1 / per_second
    stop.wait(max(0.0, due - time.monotonic()))
for thread in threads: thread.join()
"""


Figure = Callable[[str], str]  # the fixture `figure`: shows a line at the end of the tests, and returns it


@dataclass(frozen=True)
class Attempt:
    """One connection: when it began and ended (the monotonic clock), what was answered, or how it failed."""

    began: float
    ended: float
    body: str
    error: str


class Traffic:
    """The client while it runs: `with Traffic(…) as traffic`. It ends by itself when every attempt has ended."""

    def __init__(
        self, sandbox: Sandbox, host: str, port: int, path: str = "/", patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        words = (path, str(PER_SECOND), str(patience_seconds), f"{host}:{port}")
        argv = sandbox.argv("/usr/bin/python3", "-c", CLIENT, *words)
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.attempts: list[Attempt] = []

    def __enter__(self) -> Traffic:
        wait_until("first answer", lambda: bool(self.answered), 20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        if kind is not None:
            self._process.kill()
        self._reader.join()
        self._process.wait()

    @property
    def answered(self) -> list[Attempt]:
        """The attempts that got their answer, in the order of the answers."""
        return [attempt for attempt in self.attempts if not attempt.error]

    @property
    def failed(self) -> list[Attempt]:
        """Those that did not."""
        return [attempt for attempt in self.attempts if attempt.error]

    @property
    def longest_gap(self) -> float:
        """The longest time without an answer, in seconds."""
        times = [attempt.ended for attempt in self.answered]
        return max((after - before for before, after in itertools.pairwise(times)), default=0.0)

    @property
    def per_second(self) -> float:
        """Attempts a second."""
        began = [attempt.began for attempt in self.attempts]
        return (len(began) - 1) / (max(began) - min(began))

    def more(self, count: int, seconds: float = 60) -> None:
        """Go on until `count` more connections have been begun from now on and answered."""
        now = time.monotonic()
        wait_until(
            f"{count} more answers", lambda: sum(attempt.began > now for attempt in self.answered) >= count, seconds
        )

    def first_answer_after(self, moment: float) -> float:
        """Seconds from a moment to the first answer after it."""
        return min(attempt.ended for attempt in self.answered if attempt.ended > moment) - moment

    def summary(self, what: str) -> str:
        """The figures in a line."""
        return (
            f"{what}: {len(self.attempts)} attempts ({self.per_second:.1f} a second), {len(self.failed)} failed,"
            f" longest gap {self.longest_gap:.2f} s"
        )

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.attempts.append(Attempt(*json.loads(line)))
        self._process.stdout.close()
