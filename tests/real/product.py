"""`kubectl localize` as the sandbox's user drives it, and what is asked of the Services that it forwards."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

from tests.cluster.commands import wait_until
from tests.real.sandbox import Sandbox
from tests.real.terminal import CONTROL_SEQUENCE
from tests.state_schema import check_document

Item = dict[str, Any]
Done = subprocess.CompletedProcess[str]

# Fetches every URL in a process of its own: the answer, or the error's name, one on each line.
_FETCH = """
import sys, urllib.request as u
from concurrent.futures import ThreadPoolExecutor
def fetch(url):
    try:
        with u.build_opener(u.ProxyHandler({})).open(url, timeout=float(sys.argv[1])) as answer:
            return answer.read().decode()
    except Exception as error:
        return repr(error)
with ThreadPoolExecutor(int(sys.argv[2])) as pool:
    print(*pool.map(fetch, sys.argv[3:]), sep="\\n")
"""
# Opens one connection and says how that went: what was answered to a request, or the error's name.
_KNOCK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as connection:
        connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print("answered" if connection.recv(100) else "closed")
except OSError as error:
    print(type(error).__name__)
"""


class Product:
    """The product in one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    # Commands -------------------------------------------------------------------------

    def detach(self, *argv: str) -> Done:
        """`kubectl localize -d …`, which has to succeed."""
        done = self.sandbox.localize("-d", *argv)
        assert done.returncode == 0, done.stderr
        return done

    def stop(self, *argv: str) -> Done:
        """`kubectl localize stop …`, which has to succeed."""
        done = self.sandbox.localize("stop", *argv)
        assert done.returncode == 0, done.stderr
        return done

    def ls(self, *argv: str) -> str:
        """What `kubectl localize ls …` prints; it has to succeed."""
        done = self.sandbox.localize("ls", *argv)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # What runs, as `ls -o json` says --------------------------------------------------------

    def document(self) -> Item:
        """All of it, checked against docs/state.schema.json."""
        document: Item = json.loads(self.ls("-o", "json"))
        check_document(document)
        return document

    def items(self) -> dict[str, Item]:
        """Services by `ns/svc`."""
        return {f"{item['namespace']}/{item['name']}": item for item in self.document()["items"]}

    def pid(self) -> int:
        """The only supervisor's."""
        (supervisor,) = self.document()["supervisors"]
        return int(supervisor["pid"])

    def wait_item(self, key: str, what: str, condition: Callable[[Item], bool], seconds: float = 30) -> Item:
        """Return a Service as soon as `ls` shows it as the condition wants it."""
        seen: Item = {}

        def holds() -> bool:
            seen.clear()
            seen.update(self.items().get(key, {}))
            return bool(seen) and condition(seen)

        try:
            wait_until(f"{key} {what}", holds, seconds)
        except Exception as error:
            error.add_note(f"ls says: {seen}")
            raise
        return seen

    # What answers -----------------------------------------------------------------------

    def fetch_all(self, *urls: str, at_once: int = 8, timeout: float = 30) -> list[str]:
        """What each URL answers, or the error that it ended in, in a new connection for each."""
        return self.sandbox.python(_FETCH, str(timeout), str(at_once), *urls, timeout=timeout + 60).split("\n")

    def wait_answer(self, url: str, condition: Callable[[str], bool], seconds: float = 30) -> str:
        """Ask again until the answer is as it should be."""
        seen: list[str] = []

        def holds() -> bool:
            seen[:] = self.fetch_all(url, timeout=10)
            return condition(seen[0])

        try:
            wait_until(f"right answer from {url}", holds, seconds)
        except Exception as error:
            error.add_note(f"it says: {seen}")
            raise
        return seen[0]

    def expect_answers(self, url: str, *expected: str, seconds: float = 30) -> None:
        """Ask, in new connections, until each of the answers has come; none may be another."""
        seen: set[str] = set()

        def complete() -> bool:
            seen.update(self.fetch_all(*[url] * 12))
            assert seen <= set(expected), f"{url} answers {seen}, not only {expected}"
            return seen == set(expected)

        try:
            wait_until(f"answers {expected} from {url}", complete, seconds)
        except Exception as error:
            error.add_note(f"it says: {seen}")
            raise

    def knock(self, address: str, port: int) -> str:
        """How a connection ends: `answered`, `closed`, or the error's name."""
        return self.sandbox.python(_KNOCK, address, str(port))


def knock_as(uid: int, address: str, port: int) -> str:
    """The same, as a user of this machine who is in no sandbox; needs root."""
    command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
    command += ["/usr/bin/python3", "-I", "-c", _KNOCK, address, str(port)]
    return subprocess.run(command, text=True, capture_output=True, timeout=60, check=True).stdout.strip()


def assert_fails(done: Done, message: str, hint: str = "", code: int = 1) -> None:
    """The command failed with one `error:` and one `hint:` line that match, and nothing else after its progress."""
    said = done.stderr
    assert done.returncode == code, said
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    hints = [line for line in said.splitlines() if line.startswith("hint: ")]
    assert len(errors) == 1, said
    assert len(hints) == 1, said
    assert said.splitlines()[-2:] == [errors[0], hints[0]], said
    assert re.search(message, errors[0]), errors[0]
    assert re.search(hint, hints[0]), hints[0]
    assert "Traceback" not in said
    assert not CONTROL_SEQUENCE.search(said)
    assert done.stdout == ""


def warnings(done: Done) -> list[str]:
    """The `warning:` lines of a command."""
    return [line.removeprefix("warning: ") for line in done.stderr.splitlines() if line.startswith("warning: ")]
