"""A list and then a watch for ever, whatever kubectl's stream does."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kubectl_localize.cluster import objects
from kubectl_localize.cluster.store import Store
from kubectl_localize.cluster.watch import Resource, Watch
from kubectl_localize.errors import ForbiddenError, KubectlError, UnreachableError
from kubectl_localize.model import Service, ServiceKey
from tests.unit.cluster import samples
from tests.unit.cluster.samples import BOOKMARK, CONNECTION, TOO_OLD, event, page, service_item

ONE, TWO = ServiceKey("samples", "one"), ServiceKey("samples", "two")


@dataclass(frozen=True)
class Script:
    """What one kubectl does: its stdout, its stderr, its exit code; one that stays ends only when told to.

    One that is `missing` cannot even be started.
    """

    stdout: str = ""
    stderr: tuple[str, ...] = ()
    code: int = 0
    stays: bool = False
    missing: bool = False


class Scripted:
    """A kubectl that does what its script says."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._ended = asyncio.Event()
        self.stdout = asyncio.StreamReader()
        self.stdout.feed_data(script.stdout.encode())
        if not script.stays:
            self._end()

    def _end(self) -> None:
        if not self._ended.is_set():
            self._ended.set()
            self.stdout.feed_eof()

    @property
    def tail(self) -> Sequence[str]:
        return self._script.stderr

    async def wait(self) -> int:
        await self._ended.wait()
        return -15 if self._script.stays else self._script.code

    async def stop(self) -> None:
        self._end()


class Stage:
    """A watch of Services whose kubectls follow scripts, one after the other; after the last one it blocks."""

    def __init__(self, *scripts: Script, selector: str = "") -> None:
        self._scripts = list(scripts)
        self.queries: list[dict[str, str]] = []
        self.pauses = 0
        self.exhausted = asyncio.Event()
        self.streaming = asyncio.Event()
        self.view = Store(lambda: None)
        resource = Resource[Service](
            "v1", "services", objects.service, self.view.replace_services, self.view.put_service
        )  # fmt: skip
        self.watch = Watch(
            CONNECTION, resource, namespace="samples", selector=selector, spawn=self._spawn, reachable=self._reachable
        )

    async def _spawn(self, command: list[str]) -> Scripted:
        path = next(word for word in command if word.startswith("/api/"))
        assert urlsplit(path).path == "/api/v1/namespaces/samples/services"
        self.queries.append({name: values[0] for name, values in parse_qs(urlsplit(path).query).items()})
        if not self._scripts:
            self.exhausted.set()
            await asyncio.Event().wait()
        if "watch" in self.queries[-1]:
            asyncio.get_running_loop().call_soon(self.streaming.set)  # once the watch reads what is returned here
        script = self._scripts.pop(0)
        if script.missing:
            raise FileNotFoundError(2, "No such file or directory", command[0])
        return Scripted(script)

    async def _reachable(self) -> None:
        self.pauses += 1

    async def play(self) -> None:
        """List, then watch until the scripts are used up."""
        await self.watch.list()
        running = asyncio.create_task(self.watch.run())
        await asyncio.wait((running, asyncio.create_task(self.exhausted.wait())), return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    def versions(self) -> list[str]:
        """From where each request watched; `list` for those that listed."""
        return [query.get("resourceVersion", "list") for query in self.queries]

    def names(self) -> set[str]:
        """The Services that the view has."""
        return {key.name for key in (ONE, TWO) if self.view.service(key)}


def play(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine within a generous time."""
    asyncio.run(asyncio.wait_for(coroutine, 20))


def test_a_list_in_pages() -> None:
    async def run() -> None:
        stage = Stage(
            Script(page(service_item("one", 5), version=9, token="more")),
            Script(page(service_item("two", 6), version=9)),
            selector="app in (a,b)",
        )
        assert await stage.watch.list() == 2
        assert stage.names() == {"one", "two"}
        assert [query.get("continue") for query in stage.queries] == [None, "more"]
        assert {query["labelSelector"] for query in stage.queries} == {"app in (a,b)"}

    play(run())


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (Script(stderr=(samples.FORBIDDEN,), code=1), ForbiddenError),
        (Script(stderr=(samples.CLOSED_PORT,), code=1), UnreachableError),
        (Script("<html>no JSON</html>"), KubectlError),
        (Script('{"kind":"Status"}'), KubectlError),
        (Script("[]"), KubectlError),
    ],
)
def test_a_list_that_fails_says_why(script: Script, kind: type[KubectlError]) -> None:
    async def run() -> None:
        stage = Stage(script)
        with pytest.raises(kind) as failure:
            await stage.watch.list()
        assert type(failure.value) is kind

    play(run())


def test_events_are_applied_and_each_end_resumes_at_the_last_version() -> None:
    async def run() -> None:
        added = event("ADDED", service_item("two", 11)) + event("MODIFIED", service_item("two", 12))
        stage = Stage(
            Script(page(service_item("one", 5), version=9)),
            Script(added),
            Script(event("DELETED", service_item("one", 15)), code=1, stderr=("unexpected EOF",)),
            Script(BOOKMARK),
        )
        await stage.play()
        assert stage.versions() == ["list", "9", "12", "15", "4947"]
        assert stage.queries[1]["watch"] == "1"
        assert stage.queries[1]["allowWatchBookmarks"] == "true"
        assert stage.names() == {"two"}
        assert stage.pauses == 0

    play(run())


@pytest.mark.parametrize(
    "gone",
    [
        Script(TOO_OLD),
        Script(stderr=(samples.EXPIRED,), code=1),
        Script(event("ADDED", service_item("two", 11)) + TOO_OLD),
    ],
)
def test_a_version_that_is_too_old_means_list_anew_and_prune(gone: Script) -> None:
    async def run() -> None:
        stage = Stage(
            Script(page(service_item("one", 5), version=9)),
            gone,
            Script(page(service_item("two", 21), version=30)),
        )
        await stage.play()
        assert stage.versions() == ["list", "9", "list", "30"]
        assert stage.names() == {"two"}
        assert stage.pauses == 0

    play(run())


def test_a_list_that_is_itself_too_old_is_tried_again_after_a_pause() -> None:
    async def run() -> None:
        expired = Script(stderr=(samples.EXPIRED,), code=1)
        stage = Stage(Script(page(version=9)), expired, expired, Script(page(version=30)))
        await stage.play()
        assert stage.versions() == ["list", "9", "list", "list", "30"]
        assert stage.pauses == 1

    play(run())


@pytest.mark.parametrize(
    "broken",
    ['{"type":"ADDED","object":{"kind":"Serv', "no JSON at all\n", '{"type":"ADDED"}\n', "[]\n", "null\n"],
)
def test_a_line_that_is_no_event_ends_the_stream_and_what_came_before_it_counts(broken: str) -> None:
    async def run() -> None:
        stage = Stage(
            Script(page(service_item("one", 5), version=9)),
            Script(event("ADDED", service_item("two", 11)) + broken),
        )
        await stage.play()
        assert stage.versions() == ["list", "9", "11"]
        assert stage.names() == {"one", "two"}

    play(run())


@pytest.mark.parametrize("nothing", [Script(), Script("garbage\n")])
def test_a_stream_that_brings_nothing_is_not_restarted_without_a_pause(nothing: Script) -> None:
    async def run() -> None:
        stage = Stage(Script(page(version=9)), nothing, nothing)
        await stage.play()
        assert stage.versions() == ["list", "9", "9", "9"]
        assert stage.pauses == 2

    play(run())


@pytest.mark.parametrize("words", [samples.CLOSED_PORT, samples.UNAUTHORIZED])
def test_after_a_failure_a_list_tells_at_once_that_it_works_again(words: str) -> None:
    async def run() -> None:
        seen: list[str] = []

        class Watched(Stage):
            async def _reachable(self) -> None:
                seen.append(self.watch.problem)
                await super()._reachable()

        stage = Watched(
            Script(page(service_item("one", 5), version=9)),
            Script(stderr=(words,), code=1),
            Script(page(service_item("two", 21), version=30)),
        )
        await stage.play()
        assert stage.versions() == ["list", "9", "list", "30"]
        assert [bool(problem) for problem in seen] == [True]
        assert stage.watch.problem == ""
        assert stage.names() == {"two"}

    play(run())


def test_an_error_event_is_a_problem_until_the_next_list() -> None:
    async def run() -> None:
        error = '{"type":"ERROR","object":{"kind":"Status","message":"etcdserver: leader changed","code":500}}\n'
        stage = Stage(Script(page(version=9)), Script(error), Script(stderr=(samples.NO_ROUTE,), code=1))
        await stage.play()
        assert stage.versions() == ["list", "9", "list", "list"]
        assert stage.watch.problem.startswith("dial tcp 10.113.0.77:6443")

    play(run())


def test_a_renewed_stream_goes_on_at_once_and_is_no_problem() -> None:
    async def run() -> None:
        stage = Stage(
            Script(page(version=9)), Script(BOOKMARK, stays=True), Script(event("ADDED", service_item("one", 5000)))
        )
        await stage.watch.list()
        running = asyncio.create_task(stage.watch.run())
        await stage.streaming.wait()
        await stage.watch.renew()
        await stage.exhausted.wait()
        assert stage.versions()[:2] == ["list", "9"]
        assert stage.versions()[-1] == "5000"
        assert stage.names() == {"one"}
        assert (stage.watch.problem, stage.pauses) == ("", 0)
        running.cancel()

    play(run())


def test_a_renewed_stream_that_had_brought_nothing_is_no_problem_either() -> None:
    async def run() -> None:
        stage = Stage(Script(page(version=9)), Script(stays=True))
        await stage.watch.list()
        running = asyncio.create_task(stage.watch.run())
        await stage.streaming.wait()
        await stage.watch.renew()
        await stage.exhausted.wait()
        assert stage.versions() == ["list", "9", "9"]
        assert (stage.watch.problem, stage.pauses) == ("", 0)
        running.cancel()

    play(run())


def test_a_kubectl_that_is_being_replaced_does_not_end_the_watch() -> None:
    async def story() -> None:
        stage = Stage(Script(page(version=9)), Script(missing=True), Script(page(service_item("two", 21), version=30)))
        await stage.play()
        assert stage.versions() == ["list", "9", "list", "30"]
        assert (stage.names(), stage.pauses) == ({"two"}, 1)

    play(story())
