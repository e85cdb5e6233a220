"""Stands in for the transport: answers each request from a script and remembers it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.api_errors import error_of_status
from kubectl_localize.errors import KubectlError
from tests.unit.cluster.samples import CONNECTION

Json = dict[str, Any]

NOT_FOUND = "Error from server (NotFound): the server could not find the requested resource"
FORBIDDEN = 'Error from server (Forbidden): forbidden: User "bob" cannot do this'

Answer = Json | str | KubectlError  # an object, a failure in kubectl's words, or as it is raised
Script = Callable[[str, Any], Answer]  # by path and body


def give(answer: Answer) -> Json:
    """The object; raises what stands for a failure: a string, an error, or a `Status` that is none."""
    if isinstance(answer, str):
        raise kubectl.explain([answer], 1)
    if isinstance(answer, KubectlError):
        raise answer
    if answer.get("kind") == "Status" and answer.get("status") == "Failure":
        raise error_of_status(answer)
    return answer


class Answering:
    """Answers by script.

    `requests` are the paths asked for, without their query; `at_once` how many were open at the same time at most.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._open = 0
        self.requests: list[str] = []
        self.at_once = 0
        self.api = Api(CONNECTION, self)

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
    ) -> Json:
        path = path.partition("?")[0]
        self.requests.append(path)
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        await asyncio.sleep(0)  # let the others start
        self._open -= 1
        return give(self._script(path, body))


class NoRequests:
    """A transport for what makes no request over it."""

    async def request(self, method: str, path: str) -> Json:
        raise AssertionError(f"{method} {path}")

    def stream(self, path: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise AssertionError(path)
