"""Selections add up: several commands and one supervisor, which takes away only what nobody holds any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.ls_document import ForwardCounts, ForwardItem, LsDocument
from kubectl_localize.model import Options, Selection
from kubectl_localize.protocol import (
    Change,
    Ended,
    Failed,
    ForwardsOver,
    Ready,
    Released,
    ReleaseRequest,
    StartRequest,
    Stopped,
    StopRequest,
    Warn,
)
from tests.unit.fakes.api_server import ApiServer, service
from tests.unit.supervisor.loop import until
from tests.unit.supervisor.test_app import Command, Stage, supervisor, until_outcome


class Shop:
    """A cluster with Services in two namespaces, and what commands ask for there."""

    def __init__(self, directory: Path) -> None:
        self.api_server = ApiServer(directory / "cluster")
        self.port = self.api_server.port
        pairs = [("web", "shop"), ("cart", "shop"), ("web", "billing"), ("api", "billing")]
        self.api_server.has(*(service(name, self.port, namespace) for name, namespace in pairs))
        self.hosts = directory / "hosts"
        self.options = Options(hosts_file=str(self.hosts), ip_range="127.95.0.0/16")

    def asks(self, *, detach: bool = False, selection: dict[str, Any] | None = None, **options: Any) -> StartRequest:
        """A command's request."""
        wanted = Selection(**(selection or {}))
        return StartRequest(self.api_server.connection, wanted, replace(self.options, **options), detach)

    def names(self) -> set[str]:
        """The names in the hosts file."""
        if not self.hosts.exists():
            return set()
        lines = [line for line in self.hosts.read_text().splitlines() if not line.startswith("#")]
        return {name for line in lines for name in line.split()[1:]}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.api_server.close()


def forwarded(stage: Stage) -> set[str]:
    """What the state file says is forwarded."""
    if not stage.run.state.exists():
        return set()
    document = LsDocument.from_text(stage.run.state.read_text())
    return {f"{item.namespace}/{item.name}" for item in document.items if isinstance(item, ForwardItem)}


async def start(command: Command, request: StartRequest) -> Ready:
    """Ask, and have it."""
    command.send(request)
    _, ready = await until_outcome(command)
    assert isinstance(ready, Ready), ready
    return ready


SHOP = {"namespaces": ("shop",)}
BILLING = {"namespaces": ("billing",)}


async def test_two_selections_add_up_and_each_end_takes_away_what_nobody_else_holds(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks(selection=SHOP))
        second = await stage.command()
        ready = await start(second, shop.asks(selection=BILLING))
        assert ready.counts == ForwardCounts(forwarded=2), "what it asked for itself"
        assert ready.document is not None
        assert {item.namespace for item in ready.document.items} == {"billing"}
        assert forwarded(stage) == {"shop/web", "shop/cart", "billing/web", "billing/api"}
        assert {"cart.shop", "api.billing"} <= shop.names()
        first.send(ReleaseRequest())
        assert (await until_outcome(first))[1] == Released(ending=False)
        assert forwarded(stage) == {"billing/web", "billing/api"}
        assert "cart.shop" not in shop.names()
        second.send(ReleaseRequest())
        assert (await second.rest())[-1] == Ended()
        assert not shop.hosts.exists()


async def test_a_bare_name_stays_with_the_command_that_came_first(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks(selection=BILLING))
        address = _address_of(shop, "web.billing")
        assert _address_of(shop, "web") == address
        second = await stage.command()
        await start(second, shop.asks(selection=SHOP))  # the context's namespace
        assert _address_of(shop, "web") == address
        first.send(ReleaseRequest())
        await until_outcome(first)
        assert _address_of(shop, "web") == _address_of(shop, "web.shop")


def _address_of(shop: Shop, name: str) -> str:
    lines = [line.split() for line in shop.hosts.read_text().splitlines()]
    return next(line[0] for line in lines if name in line[1:])


async def test_what_both_select_stays_until_the_last_of_them_lets_go(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks())
        second = await stage.command()
        await start(second, shop.asks(selection={"patterns": ("shop/web",)}))
        await first.close()
        await until(lambda: forwarded(stage) == {"shop/web"})
        third = await stage.command()
        await start(third, shop.asks(selection={"patterns": ("billing/a*",), "exclude": ("cart",)}))
        assert forwarded(stage) == {"shop/web", "billing/api"}


async def test_a_background_hold_stays_and_the_same_again_changes_nothing(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        assert (await start(first, shop.asks(selection=SHOP, detach=True))).document is None
        before = LsDocument.from_text(stage.run.state.read_text())
        for _ in range(2):
            again = await stage.command()
            await start(again, shop.asks(selection=SHOP, detach=True))
            await again.close()
        assert LsDocument.from_text(stage.run.state.read_text()) == before
        other = await stage.command()
        await start(other, shop.asks(selection=BILLING))
        await other.close()
        await until(lambda: forwarded(stage) == {"shop/web", "shop/cart"})
        last = await stage.command()
        last.send(StopRequest(("shop/*",)))
        assert (await until_outcome(last))[1] == Stopped(ending=True), "three starts, and one hold"


async def test_stop_takes_services_from_whoever_holds_them(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks())
        background, single = await stage.command(), await stage.command()
        await start(background, shop.asks(selection=SHOP, detach=True))
        await start(single, shop.asks(selection={"patterns": ("billing/web",)}))
        command = await stage.command()
        command.send(StopRequest(("billing/web", "shop/cart")))
        assert (await until_outcome(command))[1] == Stopped(ending=False)
        assert forwarded(stage) == {"shop/web", "billing/api"}
        assert await single.event() == ForwardsOver(), "nothing is left of what it asked for"
        shop.api_server.add(service("new", shop.port, "shop"))
        assert await first.event() == Change("shop/new: a new Service"), "it forwards all the rest"
        again = await stage.command()
        await start(again, shop.asks(selection=SHOP, detach=True))
        assert "shop/cart" in forwarded(stage), "it was asked for again"
        again.send(StopRequest())


async def test_a_namespace_that_is_stopped_stays_so_for_services_to_come(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks())
        command = await stage.command()
        command.send(StopRequest(("billing/*",)))
        await until_outcome(command)
        shop.api_server.add(service("late", shop.port, "billing"))
        shop.api_server.add(service("new", shop.port, "shop"))
        await until(lambda: "shop/new" in forwarded(stage))
        assert forwarded(stage) == {"shop/web", "shop/cart", "shop/new"}


async def test_each_command_hears_of_its_own_services_only(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks(selection=SHOP))
        second = await stage.command()
        await start(second, shop.asks(selection=BILLING))
        shop.api_server.add(service("late", shop.port, "billing"))
        shop.api_server.add(service("new", shop.port, "shop"))
        assert await first.event() == Change("shop/new: a new Service")
        assert await second.event() == Change("billing/late: a new Service")


@pytest.mark.parametrize(
    ("running", "wanted", "differs"),
    [
        ({}, {"ip_range": "127.96.0.0/16"}, "with --ip-range 127.95.0.0/16; --ip-range 127.96.0.0/16 cannot"),
        ({}, {"cluster_domain": "corp"}, "with --cluster-domain cluster.local; --cluster-domain corp cannot"),
        ({}, {"hosts_file": "/elsewhere"}, "; --hosts-file /elsewhere cannot"),
        ({"hosts": False}, {}, "with --no-hosts; names in the hosts file cannot"),
    ],
)
async def test_only_what_cannot_be_shared_is_an_error(
    running: dict[str, Any], wanted: dict[str, Any], differs: str, shop: Shop, tmp_path: Path
) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks(selection=SHOP, **running))
        second = await stage.command()
        second.send(shop.asks(selection=BILLING, **wanted))
        _, failed = await until_outcome(second)
        assert isinstance(failed, Failed)
        assert f"already forwarded by pid {os.getpid()} " in failed.message
        assert differs in failed.message
        assert "`kubectl localize stop`" in failed.hint
        assert "`kubectl localize ls`" in failed.hint
        assert forwarded(stage) == {"shop/web", "shop/cart"}


async def test_what_a_second_command_does_not_name_is_the_first_ones(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks(selection=SHOP, cluster_domain="corp"))
        second = await stage.command()
        default = Options()
        await start(second, shop.asks(selection=BILLING, ip_range=default.ip_range, wait_timeout_seconds=1.0))
        assert "api.billing.svc.corp" in shop.names()
        third = await stage.command()
        await start(third, shop.asks(selection={"patterns": ("shop/cart", "billing/api")}, hosts=False))
        await second.close()
        await until(lambda: forwarded(stage) == {"shop/web", "shop/cart", "billing/api"})
        await until(lambda: "api.billing" not in shop.names())
        assert "cart.shop" in shop.names(), "the first command wants them"


async def test_a_second_command_that_selects_nothing_leaves_the_first_as_it_is(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (stage, first):
        await start(first, shop.asks(selection=SHOP))
        second = await stage.command()
        second.send(shop.asks(selection={"patterns": ("billing/wep",)}))
        _, failed = await until_outcome(second)
        assert failed == Failed("no Service matches billing/wep in context dev", "did you mean billing/web?")
        assert forwarded(stage) == {"shop/web", "shop/cart"}


async def test_names_that_match_nothing_are_said_beside_those_that_do(shop: Shop, tmp_path: Path) -> None:
    async with supervisor(tmp_path) as (_, first):
        first.send(shop.asks(selection={"patterns": ("web", "crat", "api")}))
        events, ready = await until_outcome(first)
        assert isinstance(ready, Ready)
        assert [event.text for event in events if isinstance(event, Warn)] == [
            "no Service matches crat in namespace shop; did you mean cart?",
            "no Service matches api in namespace shop; did you mean billing/api?",
        ]
