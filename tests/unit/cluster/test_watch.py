"""A list and then a watch for ever, whatever the connection does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kubectl_localize.cluster.store import SERVICES, Store
from kubectl_localize.cluster.watch import Watch
from kubectl_localize.errors import GoneError, KubectlError, UnauthorizedError, UnreachableError
from kubectl_localize.model import ServiceKey
from kubectl_localize.timing import Clock, Notifier
from tests.unit.cluster.samples import BOOKMARK, TOO_OLD, event, page, service_item
from tests.unit.fakes.requests import Answer, give
from tests.unit.supervisor.loop import until

ONE, TWO = ServiceKey("samples", "one"), ServiceKey("samples", "two")
AWAY = UnreachableError("dial tcp 10.113.0.77:6443: i/o timeout")
EXPIRED = GoneError("The resourceVersion for the provided list is too old.")


@dataclass
class Stream:
    """A watch: what it sends, and how many seconds pass until its end; one that `stays` ends only when it is cut."""

    text: str = ""
    seconds: float = 0.0
    stays: bool = False
    cut: asyncio.Event = field(default_factory=asyncio.Event)
    following: asyncio.Event = field(default_factory=asyncio.Event)


Script = Answer | Stream


class Stage:
    """A watch of Services whose requests are answered by scripts, one after the other; after the last one it blocks.

    Its time moves when it pauses, and while a stream lasts.
    """

    def __init__(self, *scripts: Script, selector: str = "") -> None:
        self._scripts = list(scripts)
        self.queries: list[dict[str, str]] = []
        self.pauses: list[float] = []
        self.problems: list[str] = []
        self.now = 0.0
        self.exhausted = asyncio.Event()
        self.store = Store(Notifier(), Clock(lambda: self.now, asyncio.sleep))
        self.watch = Watch(
            self,
            SERVICES,
            namespace="samples",
            selector=selector,
            reachability=self,
            clock=Clock(lambda: self.now, self._sleep),
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    async def wait_up(self) -> None:
        self.problems.append(self.watch.problem)

    async def request(self, method: str, path: str) -> dict[str, Any]:
        script = await self._next(path)
        assert not isinstance(script, Stream)
        return give(script)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        script = await self._next(path)
        if not isinstance(script, Stream):
            give(script)
        assert isinstance(script, Stream)
        yield self._lines(script)

    async def _lines(self, stream: Stream) -> AsyncIterator[bytes]:
        for line in stream.text.split("\n")[:-1]:
            yield line.encode()
        stream.following.set()
        if stream.stays:
            await stream.cut.wait()
        self.now += stream.seconds

    async def _next(self, path: str) -> Script:
        assert urlsplit(path).path == "/api/v1/namespaces/samples/services"
        self.queries.append({name: values[0] for name, values in parse_qs(urlsplit(path).query).items()})
        if not self._scripts:
            self.exhausted.set()
            await asyncio.Event().wait()
        return self._scripts.pop(0)

    async def follow(self) -> None:
        """List, and follow until cancelled."""
        self.store.services.apply(await self.watch.list())
        async with aclosing(self.watch.events()) as events:
            async for change in events:
                self.store.services.apply(change)

    async def play(self) -> None:
        """List, then watch until the scripts are used up."""
        following = asyncio.create_task(self.follow())
        exhausted = asyncio.create_task(self.exhausted.wait())
        await asyncio.wait((following, exhausted), return_when=asyncio.FIRST_COMPLETED)
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following

    def versions(self) -> list[str]:
        """From where each request watched; `list` for those that listed."""
        return [query.get("resourceVersion", "list") for query in self.queries]

    def names(self) -> set[str]:
        """The Services that the store has."""
        return {key.name for key in (ONE, TWO) if self.store.service(key)}


async def test_a_list_in_pages() -> None:
    stage = Stage(
        page(service_item("one", 5), version=9, token="more"),
        page(service_item("two", 6), version=9),
        selector="app in (a,b)",
    )
    listed = await stage.watch.list()
    assert (listed.namespace, set(listed.objects)) == ("samples", {"samples/one", "samples/two"})
    assert [query.get("continue") for query in stage.queries] == [None, "more"]
    assert {query["labelSelector"] for query in stage.queries} == {"app in (a,b)"}


@pytest.mark.parametrize("answer", [AWAY, {"kind": "Service"}, {"metadata": {}}, {"items": [1], "metadata": {}}])
async def test_a_list_that_fails_says_why(answer: Answer) -> None:
    with pytest.raises(KubectlError):
        await Stage(answer).watch.list()


async def test_events_are_applied_and_each_end_resumes_at_the_last_version() -> None:
    stage = Stage(
        page(service_item("one", 5), version=9),
        Stream(event("ADDED", service_item("two", 11)) + event("MODIFIED", service_item("two", 12))),
        Stream(event("DELETED", service_item("one", 15))),
        Stream(BOOKMARK),
    )
    await stage.play()
    assert stage.versions() == ["list", "9", "12", "15", "4947"]
    assert stage.queries[1]["watch"] == "1"
    assert stage.queries[1]["allowWatchBookmarks"] == "true"
    assert stage.names() == {"two"}
    assert stage.pauses == []


@pytest.mark.parametrize("gone", [Stream(TOO_OLD), EXPIRED, Stream(event("ADDED", service_item("two", 11)) + TOO_OLD)])
async def test_a_version_that_is_too_old_means_list_anew_and_prune(gone: Script) -> None:
    stage = Stage(
        page(service_item("one", 5), version=9),
        gone,
        page(service_item("two", 21), version=30),
    )
    await stage.play()
    assert stage.versions() == ["list", "9", "list", "30"]
    assert stage.names() == {"two"}
    assert stage.pauses == []


async def test_versions_that_are_always_too_old_do_not_keep_the_server_busy_with_lists() -> None:
    expiring: list[Script] = [page(version=9), EXPIRED] * 4
    stage = Stage(*expiring, page(version=30), Stream(BOOKMARK), EXPIRED, page(version=40))
    await stage.play()
    assert stage.versions() == ["list", "9"] * 4 + ["list", "30", "4947", "list", "40"]
    assert stage.pauses == [0.2, 0.4, 0.8]


async def test_a_list_that_is_itself_too_old_is_tried_again_after_a_pause() -> None:
    stage = Stage(page(version=9), EXPIRED, EXPIRED, page(version=30))
    await stage.play()
    assert stage.versions() == ["list", "9", "list", "list", "30"]
    assert stage.pauses == [0.2]


@pytest.mark.parametrize(
    "broken", ["no JSON at all\n", '{"type":"ADDED"}\n', "[]\n", "null\n", '{"type":"ERROR","object":""}\n']
)
async def test_a_line_that_is_no_event_ends_the_stream_and_what_came_before_it_counts(broken: str) -> None:
    stage = Stage(
        page(service_item("one", 5), version=9),
        Stream(event("ADDED", service_item("two", 11)) + broken),
    )
    await stage.play()
    assert stage.versions() == ["list", "9", "11"]
    assert stage.names() == {"one", "two"}
    assert stage.pauses == [0.2]


async def test_quiet_streams_that_a_load_balancer_cuts_are_resumed_at_once() -> None:
    """An orderly end without an event is no failure: pauses of seconds would miss what happens meanwhile."""
    stage = Stage(page(version=9), *(Stream(seconds=60.0) for _ in range(20)))
    await stage.play()
    assert stage.versions() == ["list", *["9"] * 21]
    assert (stage.pauses, stage.watch.problem) == ([], "")


async def test_streams_that_end_at_once_do_not_keep_the_server_busy() -> None:
    stage = Stage(page(version=9), *(Stream() for _ in range(5)))
    await stage.play()
    assert stage.pauses == [0.2, 0.4, 0.8, 1.0, 1.0]
    assert set(stage.problems) == {""}


async def test_after_a_failure_it_resumes_where_it_was() -> None:
    stage = Stage(page(service_item("one", 5), version=9), AWAY, AWAY, Stream(event("ADDED", service_item("two", 11))))
    await stage.play()
    assert stage.versions() == ["list", "9", "9", "9", "11"]
    assert stage.problems == [AWAY.message, AWAY.message]
    assert stage.watch.problem == "", "an open watch says at once that it works again"
    assert stage.names() == {"one", "two"}
    assert stage.pauses == [0.2, 0.4]


async def test_pauses_grow_to_ten_seconds_while_the_server_is_away() -> None:
    stage = Stage(page(version=9), *[AWAY] * 9)
    await stage.play()
    assert stage.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0]


async def test_refused_credentials_are_not_tried_again_at_once() -> None:
    stage = Stage(page(version=9), UnauthorizedError("Unauthorized"))
    await stage.play()
    assert stage.pauses == [0.8]


async def test_an_error_event_is_a_problem() -> None:
    error = '{"type":"ERROR","object":{"kind":"Status","message":"etcdserver: leader changed","code":500}}\n'
    stage = Stage(page(version=9), Stream(error), AWAY)
    await stage.play()
    assert stage.versions() == ["list", "9", "9", "9"]
    assert stage.problems == ["etcdserver: leader changed", AWAY.message]


async def test_a_stream_that_is_cut_by_us_goes_on_and_is_no_problem() -> None:
    stays = Stream(BOOKMARK, stays=True)
    stage = Stage(page(version=9), stays, Stream(event("ADDED", service_item("one", 5000)), stays=True))
    following = asyncio.create_task(stage.follow())
    await stays.following.wait()
    stays.cut.set()
    await until(stage.names)
    assert stage.versions() == ["list", "9", "4947"]
    assert (stage.watch.problem, stage.pauses) == ("", [])
    following.cancel()
