"""What is listed at the start, what is said if that is not allowed, and that it is followed from then on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.store import Store
from kubectl_localize.errors import (
    BadRequestError,
    ForbiddenError,
    KubectlError,
    LocalizeError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.model import Selection, ServiceKey
from kubectl_localize.supervisor.forwarding.informer import Coverage, Informer
from kubectl_localize.timing import Clock, Notifier
from tests.unit.cluster.samples import CONNECTION, event, page, service_item
from tests.unit.fakes.requests import Answer, give
from tests.unit.supervisor.loop import until

ALL = "/api/v1/services"
FORBIDDEN = ForbiddenError("services is forbidden")


class Server:
    """Answers by path, with an empty list where nothing is scripted; its watches send what is in `lines`.

    `asked` has the paths of all requests but watches; `at_once` how many lists were open at the same time at most.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers
        self._open = 0
        self.asked: list[str] = []
        self.at_once = 0
        self.lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def wait_up(self) -> None:
        """It is."""

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
    ) -> dict[str, Any]:
        path = urlsplit(path).path
        self.asked.append(path)
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        await asyncio.sleep(0)
        self._open -= 1
        return give(self._answers.get(path, page(version=1)))

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._lines(urlsplit(path).path.endswith("/services"))

    async def _lines(self, of_services: bool) -> AsyncIterator[bytes]:
        while True:
            yield await (self.lines.get() if of_services else asyncio.Future[bytes]())


class Stage:
    """An informer of a server that answers so."""

    def __init__(self, answers: Mapping[str, Answer], *namespaces: str) -> None:
        self.server = Server(answers)
        clock = Clock(lambda: 0.0, asyncio.sleep)
        self.store = Store(Notifier(), clock)
        self.selection = Selection(namespaces=namespaces)
        self.informer = Informer(
            CONNECTION,
            self.store,
            api=Api(CONNECTION, self.server),
            requests=self.server,
            reachability=self.server,
            clock=clock,
        )

    async def cover(self, *namespaces: str) -> Coverage:
        """Follow what a selection of these namespaces needs."""
        selection = Selection(namespaces=namespaces) if namespaces else self.selection
        return await self.informer.cover(selection, CONNECTION.namespace)

    def keys(self) -> list[str]:
        """What the store has."""
        return sorted(map(str, self.store.keys()))


def services(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/services"


async def test_services_and_slices_are_listed_at_the_same_time_and_followed() -> None:
    stage = Stage({ALL: page(service_item("one", 5), version=9)})
    await stage.cover()
    assert sorted(stage.server.asked) == [ALL, "/apis/discovery.k8s.io/v1/endpointslices"]
    assert stage.server.at_once == 2
    assert stage.store.keys() == [ServiceKey("samples", "one")]
    stage.server.lines.put_nowait(event("ADDED", service_item("two", 11)).encode())
    await until(lambda: len(stage.store.keys()) == 2)
    assert stage.informer.problems() == []
    await stage.informer.end()


async def test_who_may_not_list_everything_gets_the_contexts_namespace_and_is_told() -> None:
    stage = Stage({ALL: FORBIDDEN, services("shop"): page(service_item("one", 5, "shop"), version=9)})
    coverage = await stage.cover()
    assert stage.store.keys() == [ServiceKey("shop", "one")]
    assert coverage.namespaces == ("shop",)
    (warning,) = coverage.warnings
    assert "only namespace shop is forwarded" in warning
    await stage.informer.end()


async def test_of_several_namespaces_those_that_are_allowed_are_listed() -> None:
    stage = Stage({services("a"): FORBIDDEN, services("b"): page(service_item("one", 5, "b"), version=9)}, "a", "b")
    coverage = await stage.cover()
    assert stage.store.keys() == [ServiceKey("b", "one")]
    assert coverage == Coverage(("b",), ("you may not list Services and EndpointSlices in namespace a",))
    assert stage.server.at_once == 4
    await stage.informer.end()


async def test_a_namespace_that_is_empty_has_to_exist() -> None:
    empty = Stage({"/api/v1/namespaces/shop": {"kind": "Namespace"}}, "shop")
    await empty.cover()
    await empty.informer.end()
    missing = Stage({"/api/v1/namespaces/nosuch": NotFoundError("namespaces not found")}, "nosuch")
    with pytest.raises(NotFoundError, match="there is no namespace nosuch in context dev"):
        await missing.cover()


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (UnreachableError("connection refused"), "of context dev at https://.* does not answer: connection", "readyz"),
        (UnauthorizedError("getting credentials"), "does not accept your credentials: getting", "auth whoami"),
        (FORBIDDEN, "you may not list Services and EndpointSlices", "-n"),
        (BadRequestError("unable to parse"), "does not understand the request: unable", "-l app=web"),
        (KubectlError("out of luck"), "out of luck", "logs"),
    ],
)
async def test_what_cannot_be_listed_is_an_error_with_a_hint(error: KubectlError, message: str, hint: str) -> None:
    stage = Stage({ALL: error, services("shop"): error})
    with pytest.raises(LocalizeError, match=message) as caught:
        await stage.cover()
    assert type(caught.value) is type(error)
    assert hint in caught.value.hint


NAMESPACES = "/api/v1/namespaces"


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({"items": [{"metadata": {"name": "shop"}}, {"metadata": {"name": "billing"}}]}, "did you mean -n shop?"),
        (FORBIDDEN, "`kubectl get namespaces` lists those that exist"),
    ],
)
async def test_a_namespace_that_does_not_exist_was_perhaps_meant_for_another(answer: Answer, hint: str) -> None:
    missing = NotFoundError("namespaces not found")
    stage = Stage({f"{NAMESPACES}/shpo": missing, NAMESPACES: answer}, "shpo")
    with pytest.raises(NotFoundError, match="there is no namespace shpo in context dev") as caught:
        await stage.cover()
    assert caught.value.hint == hint
    assert stage.keys() == []


TWO = {
    services("a"): page(service_item("one", 5, "a"), version=9),
    services("b"): page(service_item("two", 5, "b"), version=9),
}


async def test_namespaces_that_several_want_are_followed_once_and_left_when_nobody_wants_them() -> None:
    stage = Stage(TWO)
    assert (await stage.cover("a")).namespaces == ("a",)
    assert (await stage.cover("a", "b")).namespaces == ("a", "b")
    assert stage.server.asked.count(services("a")) == 1
    assert stage.keys() == ["a/one", "b/two"]
    await stage.informer.keep({"b"})
    assert stage.keys() == ["b/two"]
    await stage.cover("a")
    assert stage.server.asked.count(services("a")) == 2, "it has not been followed meanwhile"
    await stage.informer.end()


async def test_who_follows_all_namespaces_follows_each_and_goes_on_with_that() -> None:
    everything = page(service_item("one", 6, "a"), service_item("two", 5, "b"), version=9)
    stage = Stage({**TWO, ALL: everything})
    await stage.cover("a")
    assert (await stage.cover()).namespaces == ("",)
    assert (await stage.cover("b")).namespaces == ("",)
    assert services("b") not in stage.server.asked
    await stage.informer.keep({"a"})
    assert stage.keys() == ["a/one", "b/two"], "one watch of all is as good as one of a part"
    await stage.informer.keep(())
    assert stage.keys() == []


async def test_a_namespace_that_does_not_exist_is_said_to_who_comes_later_too() -> None:
    stage = Stage({ALL: page(service_item("one", 6, "a"), version=9), f"{NAMESPACES}/c": NotFoundError("no")})
    await stage.cover()
    with pytest.raises(NotFoundError, match="there is no namespace c"):
        await stage.cover("c")
    assert stage.keys() == ["a/one"]
    await stage.informer.end()
