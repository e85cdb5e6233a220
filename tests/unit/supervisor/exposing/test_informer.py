"""What an exposure sees of its namespace: its own pods, and whose traffic its Services get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kubectl_localize.errors import ForbiddenError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.timing import Clock, Notifier
from tests.unit.cluster.samples import event
from tests.unit.supervisor.loop import until

WEB = ServiceKey("shop", "web")


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": "5"}}


def endpoint_slice(*pods: str, version: int = 5) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "web"}
    return {
        "metadata": {"namespace": "shop", "name": "web-1", "labels": labels, "resourceVersion": str(version)},
        "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": name}} for name in pods],
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": "5"}, "spec": spec}


class Stage:
    """An informer of a server with one pod of ours and one of the workload's, whose watches send `lines`."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lists: Mapping[str, list[dict[str, Any]]] = {
            "pods": [pod("ours")],
            "endpointslices": [endpoint_slice("ours", "web-a")],
            "services": [service("web")],
        }
        self.selectors: dict[str, str] = {}
        self.lines: dict[str, asyncio.Queue[bytes]] = {plural: asyncio.Queue() for plural in self.lists}
        self.changed = Notifier()
        self.informer = ExposureInformer(
            self, "shop", "abc12", ["web", "api"],
            exposed=["web"], changed=self.changed, clock=Clock(lambda: self.now, asyncio.sleep), reachability=self,
        )  # fmt: skip

    async def wait_up(self) -> None:
        """It is."""

    async def request(self, method: str, path: str) -> dict[str, Any]:
        plural = urlsplit(path).path.rpartition("/")[2]
        query = parse_qs(urlsplit(path).query)
        (self.selectors[plural],) = query.get("labelSelector") or query["fieldSelector"]
        return {"metadata": {"resourceVersion": "1"}, "items": self.lists[plural]}

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._lines(urlsplit(path).path.rpartition("/")[2])

    async def _lines(self, plural: str) -> AsyncIterator[bytes]:
        while True:
            yield await self.lines[plural].get()


async def test_own_pods_are_told_from_those_that_still_get_traffic() -> None:
    stage = Stage()
    await stage.informer.begin()
    assert stage.selectors["endpointslices"] == "kubernetes.io/service-name in (web,api)"
    assert stage.selectors["pods"].endswith("=abc12")
    assert set(stage.informer.pods) == {"ours"}
    assert stage.informer.ready(WEB) == {"ours", "web-a"}
    assert stage.informer.others([WEB]) == {"web-a"}
    await stage.informer.end()


async def test_it_is_quiet_since_the_last_slice_changed_and_pods_do_not_count() -> None:
    stage = Stage()
    await stage.informer.begin()
    stage.now = 5.0
    stage.lines["pods"].put_nowait(event("DELETED", pod("ours")).encode())
    await until(lambda: not stage.informer.pods)
    assert stage.informer.quiet_seconds == 5.0
    before = stage.changed.count
    stage.lines["endpointslices"].put_nowait(event("MODIFIED", endpoint_slice("web-b", version=9)).encode())
    await until(lambda: stage.changed.count > before)
    assert (stage.informer.quiet_seconds, stage.informer.others([WEB])) == (0.0, {"web-b"})
    await stage.informer.end()


async def test_an_exposed_service_is_followed_as_it_is() -> None:
    stage = Stage()
    await stage.informer.begin()
    assert stage.selectors["services"] == "metadata.name=web"
    assert stage.informer.service(WEB) == service("web")
    changed = {**service("web", selector={"app": "v2"})}
    stage.lines["services"].put_nowait(event("MODIFIED", changed).encode())
    await until(lambda: stage.informer.service(WEB) == changed)
    stage.lines["services"].put_nowait(event("DELETED", changed).encode())
    await until(lambda: stage.informer.service(WEB) is None)
    await stage.informer.end()


async def test_what_cannot_be_listed_is_raised() -> None:
    class Refusing(Stage):
        async def request(self, method: str, path: str) -> dict[str, Any]:
            raise ForbiddenError("no")

    stage = Refusing()
    with pytest.raises(ForbiddenError):
        await stage.informer.begin()
    await stage.informer.end()
