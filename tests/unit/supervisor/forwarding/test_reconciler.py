"""From what the cluster has to what runs: real listeners and addresses, a view filled by hand, a helper that notes."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import pytest

from kubectl_localize.cluster.store import Store
from kubectl_localize.cluster.watch import Put, Removed
from kubectl_localize.codec import to_json
from kubectl_localize.host.addresses import AddressRegistry, validate_range
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.host.system.listeners import Listener as Listening
from kubectl_localize.ls_document import HostsState
from kubectl_localize.model import Endpoint, EndpointSlice, Options, Selection, Service, ServiceKey, ServicePort
from kubectl_localize.supervisor.forwarding.holds import Hold, Holds
from kubectl_localize.supervisor.forwarding.hosts_writer import HostsWriter
from kubectl_localize.supervisor.forwarding.pod_ports import PodPorts
from kubectl_localize.supervisor.forwarding.public_names import PublicNames
from kubectl_localize.supervisor.forwarding.reconciler import Reconciler, shortened
from kubectl_localize.supervisor.traffic.binding import PortBinder
from kubectl_localize.timing import Clock, Notifier
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.helpers import NotingHelper, StubHelpers
from tests.unit.fakes.listener_rig import Rig
from tests.unit.fakes.reporter import NotingReporter
from tests.unit.supervisor.loop import until

WEB = ServiceKey("shop", "web")
PORT, OTHER_PORT = 28080, 28081
SERVICE = Service(WEB, "ClusterIP", False, True, (ServicePort("http", PORT, 8080),))


async def _never(name: str) -> bool:
    return False


class NamedPorts:
    """Pods whose only container names these ports."""

    def __init__(self) -> None:
        self.numbers = {"http": PORT, "metrics": OTHER_PORT}

    async def get(self, path: str) -> dict[str, Any]:
        ports = [{"name": name, "containerPort": number} for name, number in self.numbers.items()]
        return {"spec": {"containers": [{"ports": ports}]}}


class Strangers:
    """Another user's sockets: port by port, the address that it is bound to."""

    def __init__(self) -> None:
        self.bound: dict[int, str] = {}

    def at(self, address: str, port: int) -> Listening | None:
        place = self.bound.get(port)
        return None if place is None else Listening(ip_address(place), port, 1007)


class Stage:
    """A reconciler and its surroundings."""

    def __init__(self, directory: Path) -> None:
        self.helpers = StubHelpers(NotingHelper())
        self.reporter = NotingReporter()
        self.denied: set[int] = set()
        self.strangers = Strangers()
        self.registry = directory / "registry"
        self.rig = Rig({}, directory / "log")
        self.rig.may_start.clear()
        self.pods = NamedPorts()
        self.store = Store(Notifier(), Clock(lambda: 0.0, asyncio.sleep))
        self.holds = Holds()
        self.hold = self.wants(Selection())
        self.hosts = HostsWriter(
            CONNECTION,
            replace(Options(), hosts_file=str(directory / "hosts")),
            "dev-1",
            helpers=self.helpers,
            public_names=PublicNames(_never, ()),
            reporter=self.reporter,
            clock=Clock(lambda: 0.0, asyncio.sleep),
            changed=Notifier(),
        )
        self.reconciler = Reconciler(
            CONNECTION.context,
            self.holds,
            self.store,
            key=str(directory),  # the addresses come of it, and other test runs have others
            registry=AddressRegistry(
                self.registry / "addresses.json",
                self.registry / "lock",
                validate_range("127.93.0.0/16"),
                lambda: date(2026, 1, 1),
            ),
            config=self.rig.config,
            binder=PortBinder(self._bind, self.helpers, aliases_loopback=False, strangers=self.strangers),
            hosts=self.hosts,
            now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            reporter=self.reporter,
            pod_ports=PodPorts(self.pods, self.store, Clock(lambda: 0.0, asyncio.sleep)),
            cluster_domain="cluster.local",
        )

    def wants(self, selection: Selection, **options: Any) -> Hold:
        """One more command wants Services."""
        hold = Hold(selection, "shop", replace(Options(), **options))
        hold.active = True
        self.holds.add(hold)
        return hold

    def _bind(self, address: str, port: int) -> socket.socket:
        if port in self.denied:
            raise PermissionError(errno.EACCES, "Permission denied")
        if port in self.strangers.bound:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return bind_loopback(address, port)

    def put(self, service: Service, *pods: str, **hostnames: str) -> None:
        """The cluster has this Service, with these Ready pods."""
        self.store.services.apply(Put(str(service.key), service))
        endpoints = tuple(Endpoint(pod, 0, "", hostnames.get(pod, "")) for pod in pods)
        ports: tuple[tuple[str, int | None], ...] = tuple((port.name, 8080) for port in service.ports)
        found = EndpointSlice("x", service.key, ports, endpoints, 0, len(pods))
        self.store.endpoint_slices.apply(Put(f"{service.key}-x", found))

    def item(self, name: str = "web") -> dict[str, Any]:
        """What `ls` shows of a Service."""
        document: dict[str, Any] = to_json(next(item for item in self.reconciler.items() if item.name == name))
        return document

    async def listens(self, port: int = PORT) -> bool:
        """Whether the Service's address accepts connections on a port."""
        try:
            _, writer = await asyncio.open_connection(self.item()["address"], port)
        except ConnectionRefusedError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    def names(self, address: str) -> tuple[str, ...]:
        """The names that an address shall have."""
        return self.hosts.names.of(address)

    async def reconcile(self) -> None:
        """Follow the cluster, and let the names be written."""
        await self.reconciler.reconcile()
        await self.hosts.tend()


@asynccontextmanager
async def stage_with(directory: Path, *pods: str) -> AsyncIterator[Stage]:
    """A stage on which the Service runs."""
    stage = Stage(directory)
    stage.put(SERVICE, *pods)
    await stage.reconcile()
    try:
        yield stage
    finally:
        await stage.reconciler.end()
        await stage.rig.pool.end()


async def test_a_service_listens_on_its_own_address_and_has_its_names(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "web-1") as stage:
        item = stage.item()
        assert item["address"].startswith("127.93.")
        assert await stage.listens()
        assert stage.names(item["address"])[:2] == ("web", "web.shop")
        assert item["hostnames"] == list(stage.names(item["address"]))
        assert (item["status"], item["endpoints"], item["since"]) == ("Idle", ["web-1"], "2026-01-02T03:04:05Z")
        assert (item["ports"][0]["localPort"], item["ports"][0]["targetPort"]) == (PORT, 8080)
        assert stage.hosts.state is HostsState.WRITTEN
        assert stage.reporter.changes == []


async def test_pods_that_come_and_go_are_followed_and_the_address_stays(tmp_path: Path) -> None:
    async with stage_with(tmp_path) as stage:
        address = stage.item()["address"]
        assert (stage.item()["status"], stage.item()["reason"]) == ("Waiting", "no Ready pod")
        for pods in (["a"], ["b"], ["b", "c"], []):
            stage.put(SERVICE, *pods)
            await stage.reconcile()
            assert (stage.item()["endpoints"], stage.item()["address"]) == (pods, address)
            assert await stage.listens()
        assert stage.reporter.changes == [
            "shop/web: pod a is Ready",
            "shop/web: pod a is gone, now b",
            "shop/web: pods b, c are gone, no Ready pod",
        ]


async def test_a_new_service_changed_ports_and_a_removed_service(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        address = stage.item()["address"]
        stage.put(replace(SERVICE, key=ServiceKey("shop", "api")), "z")
        stage.put(replace(SERVICE, ports=(ServicePort("http", OTHER_PORT, 8080),)), "a")
        await stage.reconcile()
        assert stage.item()["address"] == address
        assert (await stage.listens(PORT), await stage.listens(OTHER_PORT)) == (False, True)
        assert stage.item("api")["address"] != address
        stage.store.services.apply(Removed("shop/web"))
        await stage.reconcile()
        assert [item.name for item in stage.reconciler.items()] == ["api"]
        assert stage.names(address) == ()
        assert sorted(stage.reporter.changes) == [
            "shop/api: a new Service",
            "shop/web: its ports have changed",
            "shop/web: the Service is gone",
        ]


async def test_services_outside_the_selection_do_not_run(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        stage.put(replace(SERVICE, key=ServiceKey("kube-system", "dns")), "b")
        await stage.reconcile()
        assert [item.namespace for item in stage.reconciler.items()] == ["shop"]


async def test_a_service_that_can_no_longer_be_forwarded_says_why_and_has_neither_address_nor_names(
    tmp_path: Path,
) -> None:
    async with stage_with(tmp_path, "a") as stage:
        address = stage.item()["address"]
        stage.put(replace(SERVICE, type="ExternalName", external_name="db.example"), "a")
        await stage.reconcile()
        item = stage.item()
        assert (item["status"], item["address"], item["hostnames"]) == ("Skipped", "", [])
        assert item["reason"] == "ExternalName leads to db.example, outside the cluster"
        assert item["ports"][0]["status"] == "Skipped"
        assert stage.names(address) == ()
        stage.put(SERVICE, "a")
        await stage.reconcile()
        assert stage.item()["address"] == address
        assert await stage.listens()


async def test_pods_of_a_headless_service_have_addresses_of_their_own(tmp_path: Path) -> None:
    async with stage_with(tmp_path) as stage:
        headless = replace(SERVICE, headless=True)
        stage.put(headless, "web-0", "web-1", **{"web-0": "web-0", "web-1": "web-1"})
        await stage.reconcile()
        pods = {pod["name"]: pod for pod in stage.item()["pods"]}
        assert len({stage.item()["address"], *(pod["address"] for pod in pods.values())}) == 3
        assert pods["web-1"]["hostnames"][:2] == ["web-1.web", "web-1.web.shop"]
        stage.put(headless, "web-0", **{"web-0": "web-0"})
        await stage.reconcile()
        assert [pod["name"] for pod in stage.item()["pods"]] == ["web-0"]
        assert stage.names(pods["web-1"]["address"]) == ()


async def test_without_addresses_new_services_wait_and_the_others_are_followed(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        aside = stage.registry.rename(tmp_path / "aside")
        stage.registry.write_text("in the way")
        stage.put(SERVICE, "b")
        stage.put(replace(SERVICE, key=ServiceKey("shop", "api")), "z")
        await stage.reconcile()
        assert [item.name for item in stage.reconciler.items()] == ["web"]
        assert stage.item()["endpoints"] == ["b"]
        [problem] = stage.reconciler.problems()
        assert problem.startswith("no addresses for new Services and pods: ")
        assert not await stage.reconciler.reopen()
        stage.registry.unlink()
        aside.rename(stage.registry)
        assert await stage.reconciler.reopen()
        assert stage.reconciler.problems() == []
        assert stage.item("api")["address"]


@pytest.mark.parametrize("aimed", [False, True], ids=["all addresses", "ours"])
@pytest.mark.parametrize("others", [(), (OTHER_PORT,)], ids=["alone", "beside another port"])
async def test_names_lead_to_no_other_user(aimed: bool, others: tuple[int, ...], tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        address = stage.item()["address"]
        await stage.reconciler.end()
        stage.strangers.bound[PORT] = address if aimed else "0.0.0.0"
        stage.put(replace(SERVICE, ports=tuple(ServicePort(f"p{port}", port, 8080) for port in (PORT, *others))), "a")
        await stage.reconcile()
        [problem] = stage.reconciler.problems()
        assert problem.startswith("shop/web: user 1007 has ")
        stays_out = aimed or not others  # on all addresses it is there by chance, and may be of no account
        assert problem.endswith(", so its names stay out of the hosts file") is stays_out
        assert (stage.names(address) == ()) is stays_out
        stage.strangers.bound.clear()
        assert await stage.reconciler.reopen()
        await stage.hosts.tend()
        assert stage.names(address)[:1] == ("web",)


async def test_a_port_that_somebody_else_has_is_a_problem_until_it_is_free(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        with bind_loopback(stage.item()["address"], OTHER_PORT) as held:
            held.listen()
            stage.put(replace(SERVICE, ports=(ServicePort("http", OTHER_PORT, 8080),)), "a")
            await stage.reconcile()
            [problem] = stage.reconciler.problems()
            assert problem.startswith(f"shop/web: another program has {stage.item()['address']}:{OTHER_PORT}")
            assert stage.item()["status"] == "Backoff"
            assert not await stage.reconciler.reopen()
        assert await stage.reconciler.reopen()
        assert stage.reconciler.problems() == []
        assert await stage.listens(OTHER_PORT)


async def test_a_port_that_had_to_be_moved_up_goes_back_once_there_is_a_helper(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        helper = stage.helpers.connected
        stage.helpers.connect(None)
        stage.denied = {OTHER_PORT}
        stage.put(replace(SERVICE, ports=(ServicePort("http", OTHER_PORT, 8080),)), "a")
        await stage.reconcile()
        moved = OTHER_PORT + 8000
        assert stage.reconciler.moved() == {WEB: [(OTHER_PORT, moved)]}
        assert stage.item()["ports"][0]["localPort"] == moved
        assert stage.item()["ports"][0]["reason"] == f"port {OTHER_PORT} needs sudo, so it is {moved} here"
        assert stage.item()["reason"] == "", "the port itself and a warning say it"
        assert await stage.listens(moved)
        stage.helpers.connect(helper)
        assert await stage.reconciler.reopen()
        assert stage.reconciler.moved() == {}
        assert (await stage.listens(moved), await stage.listens(OTHER_PORT)) == (False, True)


async def test_what_needs_no_helper_is_opened_before_there_is_one(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    low = Service(ServiceKey("shop", "low"), "ClusterIP", False, True, (ServicePort("http", 80, 8080),))
    stage.put(SERVICE, "a")
    stage.put(low, "a")
    await stage.reconciler.reconcile(first_port=1024)
    assert [item.name for item in stage.reconciler.items()] == ["web"]
    assert await stage.listens()
    await stage.reconcile()
    assert [item.name for item in stage.reconciler.items()] == ["low", "web"]
    assert stage.reporter.changes == [], "neither of them is news"
    await stage.reconciler.end()
    await stage.rig.pool.end()


class OvertakenHelper(NotingHelper):
    """Binds a port on which somebody else, who has bound it as well, listens first."""

    def __init__(self, rival: socket.socket) -> None:
        super().__init__()
        self._rival = rival

    async def bind(self, address: str, port: int) -> socket.socket:
        bound = await super().bind(address, port)
        self._rival.listen()
        return bound


async def test_a_port_that_cannot_go_back_stays_moved_up_and_keeps_its_connections(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        helper = stage.helpers.connected
        stage.helpers.connect(None)
        stage.denied = {OTHER_PORT}
        stage.put(replace(SERVICE, ports=(ServicePort("http", OTHER_PORT, 8080),)), "a")
        await stage.reconcile()
        address, moved = stage.item()["address"], OTHER_PORT + 8000
        reader, writer = await asyncio.open_connection(address, moved)
        with bind_loopback(address, OTHER_PORT) as rival:
            stage.helpers.connect(OvertakenHelper(rival))
            assert not await stage.reconciler.reopen()
            assert stage.reconciler.moved() == {WEB: [(OTHER_PORT, moved)]}
            assert await stage.listens(moved)
        stage.helpers.connect(helper)
        assert await stage.reconciler.reopen()
        assert (await stage.listens(moved), await stage.listens(OTHER_PORT)) == (False, True)
        [port] = stage.item()["ports"]
        assert port["connections"] >= 1, "the connection to the old port is still served"
        assert not reader.at_eof()
        writer.transport.abort()


async def test_endpoints_change_while_the_hosts_file_is_still_being_written(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        assert stage.helpers.connected is not None
        stage.helpers.connected.may_write.clear()
        writing = asyncio.create_task(stage.hosts.run())
        stage.put(SERVICE, "b")
        stage.put(replace(SERVICE, key=ServiceKey("shop", "api")), "z")
        await stage.reconciler.reconcile()
        assert stage.item()["endpoints"] == ["b"]
        assert await stage.listens()
        writing.cancel()
        await asyncio.wait((writing,))


async def test_endpoints_change_while_another_process_holds_the_registry(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        with (stage.registry / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stage.put(replace(SERVICE, key=ServiceKey("shop", "api")), "z")
            stage.put(SERVICE, "b")
            reconciling = asyncio.create_task(stage.reconciler.reconcile())
            await until(lambda: stage.item()["endpoints"] == ["b"])
            assert not reconciling.done()
        await reconciling
        assert stage.item("api")["address"]


async def test_endpoints_change_while_the_helper_binds_a_port(tmp_path: Path) -> None:
    async with stage_with(tmp_path, "a") as stage:
        assert stage.helpers.connected is not None
        stage.helpers.connected.may_bind.clear()
        stage.denied = {OTHER_PORT}
        api = replace(SERVICE, key=ServiceKey("shop", "api"), ports=(ServicePort("http", OTHER_PORT, 8080),))
        stage.put(api, "z")
        reconciling = asyncio.create_task(stage.reconciler.reconcile())
        await until(lambda: "api" in {item.name for item in stage.reconciler.items()})
        stage.put(SERVICE, "b")
        stage.reconciler.follow()
        assert stage.item()["endpoints"] == ["b"]
        assert not reconciling.done()
        stage.helpers.connected.may_bind.set()
        await reconciling
        await stage.reconciler.reconcile()
        assert "shop/web: pod a is gone, now b" in stage.reporter.changes


async def test_endpoints_that_change_while_another_service_is_still_being_bound_are_not_set_back(
    tmp_path: Path,
) -> None:
    async with stage_with(tmp_path, "a") as stage:
        api = replace(SERVICE, key=ServiceKey("shop", "api"))
        stage.put(api, "old")
        await stage.reconcile()
        helper = stage.helpers.connected
        assert helper is not None
        helper.may_bind.clear()
        stage.denied = {OTHER_PORT}
        stage.put(replace(SERVICE, ports=(ServicePort("http", OTHER_PORT, 8080),)), "a")
        stage.put(api, "new")
        reconciling = asyncio.create_task(stage.reconciler.reconcile())
        await until(lambda: helper.binds)
        stage.put(api, "newer")
        stage.reconciler.follow()
        helper.may_bind.set()
        await reconciling
        assert stage.item("api")["endpoints"] == ["newer"]
        assert "shop/api: pod old is gone, now newer" in stage.reporter.changes


async def test_a_service_that_cannot_be_followed_keeps_no_other_from_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage_with(tmp_path, "a") as stage:
        stage.put(SERVICE, "b")
        broken = replace(SERVICE, key=ServiceKey("shop", "api"), ports=(cast(ServicePort, None),))
        stage.store.services.apply(Put("shop/api", broken))
        await stage.reconcile()
        assert stage.item()["endpoints"] == ["b"]
        assert "what shall run for shop/api" in caplog.text


def test_many_ports_with_one_problem_are_one_sentence() -> None:
    few = ["shop/a: taken", "shop/b: taken", "shop/c: taken"]
    assert shortened(few) == few
    many = [f"shop/{name}: too many open files" for name in "abcd"]
    assert shortened([*many, "shop/e: taken"]) == [
        "4 ports, such as one of shop/a: too many open files",
        "shop/e: taken",
    ]
    assert shortened([]) == []


async def test_an_external_name_answers_like_the_service_that_it_leads_to_and_follows_it(tmp_path: Path) -> None:
    alias = Service(
        ServiceKey("billing", "api"), "ExternalName", False, False, (), external_name="web.shop.svc.cluster.local"
    )
    async with stage_with(tmp_path) as stage:
        stage.store.services.apply(Put("billing/api", alias))
        await stage.reconcile()
        item = stage.item("api")
        assert (item["status"], item["endpoints"]) == ("Waiting", [])
        assert item["address"] not in ("", stage.item()["address"])
        assert "api.billing" in stage.names(item["address"])
        stage.put(SERVICE, "a")
        stage.reconciler.follow()
        await stage.reconcile()
        item = stage.item("api")
        assert (item["status"], item["reason"], item["endpoints"]) == ("Idle", "ExternalName leads to shop/web", ["a"])
        assert [port["port"] for port in item["ports"]] == [PORT]
        stage.store.services.apply(Removed("shop/web"))
        await stage.reconcile()
        assert stage.item("api")["reason"].startswith("ExternalName leads to shop/web, which is not there")


async def test_a_headless_service_without_ports_listens_on_its_pods_as_soon_as_theirs_are_known(
    tmp_path: Path,
) -> None:
    async with stage_with(tmp_path) as stage:
        stage.put(replace(SERVICE, headless=True, ports=()), "web-0", **{"web-0": "web-0"})
        await stage.reconcile()
        assert (stage.item()["status"], stage.item()["reason"]) == ("Waiting", "no Ready pod")
        await until(lambda: stage.store.is_dirty)
        await stage.reconcile()
        item = stage.item()
        assert [(port["name"], port["port"]) for port in item["ports"]] == [("http", PORT), ("metrics", OTHER_PORT)]
        assert (await stage.listens(PORT), await stage.listens(OTHER_PORT)) == (True, True)
        assert "web-0.web.shop" in item["pods"][0]["hostnames"]
