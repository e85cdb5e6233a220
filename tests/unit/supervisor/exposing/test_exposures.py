"""The one door to exposures: what each request comes to, and who hears of it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cluster.exposing.journal import Owner
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.identity import here
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.ls_document import Status
from kubectl_localize.model import Connection, ServiceKey
from kubectl_localize.protocol import (
    Accepted,
    ExposeRequest,
    Failed,
    PlanReady,
    Released,
    RestoreDone,
    RestoreRequest,
    UnexposeRequest,
    Warn,
)
from kubectl_localize.supervisor.control_server import ControlServer
from kubectl_localize.supervisor.exposing import takeover
from kubectl_localize.supervisor.exposing.exposures import Exposures
from kubectl_localize.supervisor.lifetime import Lifetime
from kubectl_localize.supervisor.runtime import Runtime, RuntimeSource
from tests.unit.cluster.samples import CLOSED_PORT, CONNECTION
from tests.unit.fakes.cluster import APPS, Cluster
from tests.unit.fakes.commands import RecordedClient
from tests.unit.fakes.groups import Groups
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.fakes.runtime import runtime
from tests.unit.supervisor.exposing.samples import OWNER, entry, write
from tests.unit.supervisor.exposing.test_checks import CART, add
from tests.unit.supervisor.loop import until

CART_PATH = f"{APPS}/deployments/cart"


class OneRuntime(RuntimeSource):
    """Has its runtime from the beginning."""

    def __init__(self, made: Runtime) -> None:
        super().__init__(made.paths, Groups())
        self.runtime = made

    async def get(self, connection: Connection) -> Runtime:
        assert self.runtime is not None
        return self.runtime


class RecordedControl(ControlServer):
    """Has one command connected."""

    def __init__(self, client: RecordedClient) -> None:
        self._client = client

    def broadcast(self, event: Any, service: ServiceKey | None = None) -> None:
        self._client.send(event)


class Stage:
    """Exposures of a cluster with the Service and Deployment cart.

    Attributes:
        client: the command that asks.
        lifetime: of a supervisor that somebody else holds as well.
    """

    def __init__(self, directory: Path, cluster: Cluster | None = None) -> None:
        self.paths = RunPaths(directory)
        self.cluster = cluster or Cluster()
        add(self.cluster, "cart")
        self.client = RecordedClient()
        self.lifetime = Lifetime()
        self.lifetime.hold(self)
        self.exposures = Exposures(
            self.paths,
            OneRuntime(runtime(self.cluster, directory)),
            RecordedControl(self.client),
            self.lifetime,
        )

    def files(self) -> list[str]:
        """What there is in the supervisor's directory."""
        return [path.name for path in self.paths.directory.iterdir()]

    def crashed(self) -> None:
        """A run on this machine is gone that had scaled cart down."""
        self.cluster.workload("cart", 0)
        write(self.cluster, entry(owner=replace(OWNER, machine="another")))
        self.paths.exposures.write_text(json.dumps({"sessions": {"gone1": "shop"}}))


@asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[Stage]:
    """Exposures that are closed in the end."""
    made = Stage(directory)
    try:
        yield made
    finally:
        await made.exposures.close()


async def test_a_dry_run_says_the_plan_and_leaves_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as given:
        assert not await given.exposures.expose(given.client, ExposeRequest(CONNECTION, (CART,), dry_run=True))
        (plan,) = given.client.told(PlanReady)
        assert isinstance(plan, PlanReady)
        assert "scale Deployment shop/cart from 2 to 0, and back at the end" in plan.lines
        assert (given.cluster.story, given.lifetime.holders) == ([], {given})
        assert given.files() == []


async def test_what_the_checks_refuse_is_told_and_changes_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path) as given:
        assert not await given.exposures.expose(given.client, ExposeRequest(CONNECTION, (ServiceKey("shop", "gone"),)))
        assert [type(event) for event in given.client.events] == [Accepted, Failed]
        assert (given.cluster.story, given.lifetime.holders) == ([], {given})


async def test_a_command_that_leaves_gets_everything_back(tmp_path: Path) -> None:
    """The exposure waits for its pod, which never runs here."""
    async with stage(tmp_path) as given:
        work = asyncio.create_task(given.exposures.expose(given.client, ExposeRequest(CONNECTION, (CART,))))
        await until(lambda: "POST secrets" in " ".join(given.cluster.changes) or work.done())
        assert given.lifetime.holders > {given, given.client}
        given.client.leaving.set()
        assert not await work
        assert [event for event in given.client.events if isinstance(event, Failed)] == []
        assert given.client.told(Released) == [Released(False)]
        assert given.cluster.replicas(CART_PATH) == 2
        assert [path for path in given.cluster.objects if "leases" in path or "secrets" in path] == []
        assert given.lifetime.holders == {given}


async def test_restore_tells_what_it_leaves_alone_and_that_it_is_done(tmp_path: Path) -> None:
    async with stage(tmp_path) as given:
        given.crashed()
        await given.exposures.restore(given.client, RestoreRequest(CONNECTION))
        assert given.client.events[0] == Accepted()
        assert given.client.events[-1] == RestoreDone(had_leftovers=True)
        assert not given.paths.exposures.exists(), "what certainly is gone is forgotten"
        assert given.lifetime.holders == {given}


async def test_a_restore_that_cannot_ask_the_cluster_ends_all_the_same(tmp_path: Path) -> None:
    async with stage(tmp_path) as given:
        given.cluster.fails = lambda now, method, path: CLOSED_PORT
        await given.exposures.restore(given.client, RestoreRequest(CONNECTION))
        assert [type(event) for event in given.client.events] == [Accepted, Failed, RestoreDone]
        (failure,) = given.client.told(Failed)
        assert isinstance(failure, Failed)
        assert failure.message.startswith("the API server of context dev at https://")
        assert "readyz" in failure.hint


async def test_what_is_not_exposed_cannot_be_ended(tmp_path: Path) -> None:
    async with stage(tmp_path) as given:
        with pytest.raises(LocalizeError, match="shop/cart is not exposed from here"):
            await given.exposures.unexpose(given.client, UnexposeRequest((CART,)))


async def test_what_a_crash_left_is_looked_for_in_the_background(tmp_path: Path) -> None:
    async with stage(tmp_path) as given:
        given.exposures.recover(CONNECTION)
        given.crashed()
        given.exposures.recover(CONNECTION)
        await until(lambda: not given.paths.exposures.exists())


class HeldCluster(Cluster):
    """Answers no PUT of a scale until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_scale = asyncio.Event()
        self.held = asyncio.Event()

    async def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
    ) -> dict[str, Any]:
        if method == "PUT" and "/scale" in path:
            self.held.set()
            await self.may_scale.wait()
        return await super().request(method, path, body, timeout_seconds=timeout_seconds)


async def test_at_the_end_what_is_alive_does_not_wait_for_what_a_crash_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "POD_SECONDS", 1e9)  # it is still on its way up at the end
    cluster, process = HeldCluster(), here()
    made = Stage(tmp_path, cluster)
    asking = asyncio.create_task(made.exposures.expose(made.client, ExposeRequest(CONNECTION, (CART,))))
    await until(lambda: "POST secrets" in " ".join(cluster.changes))
    cluster.workload("web", 0)
    owner = Owner(
        "ada", process.login, process.machine, process.uid, process.pid, process.started, process.pid_namespace
    )  # fmt: skip
    write(cluster, entry("web", owner=owner))
    recorded = json.loads(made.paths.exposures.read_text())["sessions"]
    made.paths.exposures.write_text(json.dumps({"sessions": {**recorded, "abc12": "shop"}}))
    made.exposures.recover(CONNECTION)
    await cluster.held.wait()
    closing = asyncio.create_task(made.exposures.close())
    await asking
    assert made.client.told(Failed) == [Failed("the exposure was ended before it was live", "")]
    assert not any("secrets" in path for path in cluster.objects)
    assert not closing.done()
    cluster.may_scale.set()
    await closing
    assert cluster.replicas(f"{APPS}/deployments/web") == 2


class Stuck(Cluster):
    """Refuses Secrets, which ends the way up, and for as long as it is stuck deletions, which end the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck = True
        self.fails = self._refuse

    def _refuse(self, now: float, method: str, path: str) -> str:
        if method == "POST" and path.endswith("/secrets") and any("leases" in known for known in self.objects):
            return FORBIDDEN
        return FORBIDDEN if method == "DELETE" and self.stuck else ""


async def test_a_way_up_that_fails_and_cannot_be_undone_keeps_no_command_waiting(tmp_path: Path) -> None:
    cluster = Stuck()
    made = Stage(tmp_path, cluster)
    assert not await made.exposures.expose(made.client, ExposeRequest(CONNECTION, (CART,)))
    (warning,) = made.client.told(Warn)
    assert isinstance(warning, Warn)
    assert "could not be brought back" in warning.text
    assert "it is tried again until it is done" in warning.text
    assert [item.status for item in made.exposures.items()] == [Status.RESTORING]
    with pytest.raises(LocalizeError, match="could not be brought back"):
        await made.exposures.unexpose(made.client, UnexposeRequest((CART,)))
    assert not await made.exposures.end_all()
    assert str(os.getpid()) in made.exposures.ending_error().message

    cluster.stuck = False
    await made.exposures.unexpose(made.client, UnexposeRequest((CART,)))
    assert made.exposures.items() == []
    assert cluster.left("abc12") == []
    assert await made.exposures.end_all()
    await made.exposures.close()
