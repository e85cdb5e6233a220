"""An API whose kubectl is a stand-in: it answers each request from a script and remembers it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from kubectl_localize.cluster.api import Api
from tests.unit.cluster.samples import CONNECTION

NOT_FOUND = "Error from server (NotFound): the server could not find the requested resource"
FORBIDDEN = 'Error from server (Forbidden): forbidden: User "bob" cannot do this'

Answer = dict[str, Any] | str  # what it prints, or its last words
Script = Callable[[str, Any], Answer]  # by path and body


class Done:
    """A kubectl that has said all it has to say."""

    def __init__(self, answer: Answer) -> None:
        self._failed = isinstance(answer, str)
        self.tail: Sequence[str] = [answer] if isinstance(answer, str) else []
        self.stdout = asyncio.StreamReader()
        if not self._failed:
            self.stdout.feed_data(json.dumps(answer).encode())
        self.stdout.feed_eof()

    async def wait(self) -> int:
        return int(self._failed)

    async def stop(self) -> None:
        """It has ended."""


class Answering:
    """Answers by script.

    `requests` are the paths asked for, without their query; `at_once` how many kubectls ran at the same time at most.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._running = 0
        self.requests: list[str] = []
        self.at_once = 0
        self.api = Api(CONNECTION, self._run)

    async def _run(self, argv: list[str], body: bytes | None) -> Done:
        path = next(word for word in argv if word.startswith(("/api/", "/apis/"))).partition("?")[0]
        self.requests.append(path)
        self._running += 1
        self.at_once = max(self.at_once, self._running)
        await asyncio.sleep(0)  # let the others start
        self._running -= 1
        return Done(self._script(path, json.loads(body) if body else None))
