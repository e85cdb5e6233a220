"""The Events about an exposed Service: a courtesy, of which a failure bothers nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from kubectl_localize.cluster.api import Api
from kubectl_localize.errors import ForbiddenError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.announcement import AGAIN_SECONDS, Announcement
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.timing import Clock
from tests.unit.cluster.exposure_plan import ABOUT, plan
from tests.unit.fakes.cluster import Cluster
from tests.unit.fakes.runtime import runtime
from tests.unit.supervisor.loop import until

SERVICE = {"metadata": {"namespace": "shop", "name": "cart", "uid": "cart-uid"}}


class Known:
    """The exposure's Services and its pod."""

    name = "localize-cart-abc12"

    def service(self, key: ServiceKey) -> dict[str, Any] | None:
        return SERVICE if key.name == "cart" else None


class Events:
    """Takes Events, or refuses them."""

    def __init__(self, *, refuses: bool) -> None:
        self.refuses = refuses
        self.asked = 0
        self.made: list[dict[str, Any]] = []

    async def create(self, path: str, manifest: dict[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self.asked += 1
        if self.refuses:
            raise ForbiddenError("no")
        assert path == "/api/v1/namespaces/shop/events"
        self.made.append(manifest)
        return manifest


class Stage:
    def __init__(self, directory: Path, *, refuses: bool = False) -> None:
        self.events = Events(refuses=refuses)
        self.slept: list[float] = []
        self.due = asyncio.Event()
        made = runtime(Cluster(), directory)
        made.api = cast(Api, self.events)
        made.clock = Clock(lambda: 0.0, self._sleep)
        known = Known()
        self.announcement = Announcement(
            made, plan(), ABOUT, informer=cast(ExposureInformer, known), pods=cast(ExposurePods, known)
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.due.wait()
        self.due.clear()


async def test_it_is_said_at_the_beginning_before_it_is_forgotten_and_at_the_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.announcement.begin()
    await until(lambda: stage.slept == [AGAIN_SECONDS])
    stage.due.set()
    await until(lambda: len(stage.slept) == 2)
    await stage.announcement.end()
    assert [event["reason"] for event in stage.events.made] == ["Exposed", "Exposed", "Restored"]
    first = stage.events.made[0]
    assert first["involvedObject"]["uid"] == "cart-uid"
    for words in ("alice@laptop", "localize-cart-abc12", "`kubectl localize expose --stop shop/cart` there ends it"):
        assert words in first["message"]


async def test_who_may_make_no_events_is_not_bothered(tmp_path: Path) -> None:
    stage = Stage(tmp_path, refuses=True)
    stage.announcement.begin()
    await until(lambda: bool(stage.slept))
    await stage.announcement.end()
    assert stage.events.asked == 1, "without a first Event there is no last one"
