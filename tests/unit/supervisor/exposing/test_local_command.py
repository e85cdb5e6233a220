"""The local command: what it is started with, what is said about it, and when it counts as there."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from kubectl_localize import protocol
from kubectl_localize.cluster.exposing.environment_policy import EnvironmentChoice
from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.host.system import System
from kubectl_localize.host.system.listeners import Listener, Program, at
from kubectl_localize.supervisor.exposing.local import LocalEnds
from kubectl_localize.supervisor.exposing.local_command import LocalCommand
from tests.unit.cluster.exposure_plan import CART, plan
from tests.unit.fakes.cluster import CORE, Cluster
from tests.unit.fakes.progress import RecordedProgress
from tests.unit.fakes.runtime import ListeningSystem, runtime

NODE = Program("node", 4711, "ada")
HTTP = CarriedPort(8080, (), "127.0.0.1", 3000, ((CART, 80),), either=True)
METRICS = CarriedPort(9090, (), "127.0.0.1", 9090, ((CART, 9090),), either=True)


class Started(RecordedProgress):
    """Remembers, and says which process group the command has."""

    async def start_command(self, variables: Sequence[tuple[str, str]]) -> int:
        await super().start_command(variables)
        return 4711

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, protocol.Warn)]


class Stage:
    """A command for two ports, on a machine where what listens can change."""

    def __init__(self, directory: Path, *ports: CarriedPort, choice: EnvironmentChoice | None = None) -> None:
        self.listeners: list[Listener] = []
        self.cluster = Cluster()
        self.runtime = runtime(self.cluster, directory)
        system = ListeningSystem(self._listens, self.listeners, {1: NODE}, (1,))
        self.runtime.system = cast(System, system)
        self.progress = Started()
        self.plan = plan(ports=ports or (HTTP, METRICS))
        self.command = LocalCommand(self.plan, self.runtime, self.progress, choice or EnvironmentChoice())

    def listen(self, address: str, port: int) -> None:
        self.listeners.append(Listener(ipaddress.ip_address(address), port, 0, 1))

    def run_pod(self, *env: dict[str, Any], **container: Any) -> None:
        """The pod whose container the command replaces."""
        spec = {"containers": [{"name": "main", "env": list(env), **container}]}
        self.cluster.put(f"{CORE}/pods/cart-0", {"metadata": {"labels": {"app": "cart"}}, "spec": spec})

    def _listens(self, host: str, port: int) -> bool:
        return at(self.listeners, ipaddress.ip_address(host), port) is not None


def env(**variables: str) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


async def test_it_gets_the_containers_environment_but_for_what_belongs_there(tmp_path: Path) -> None:
    stage = Stage(tmp_path, choice=EnvironmentChoice(("NODE_OPTION",), ("AWS_*",)))
    stage.run_pod(*env(PORT="8080", NODE_OPTIONS="-r /agent.js", AWS_KEY="k", CONFIG="/etc/app/x.yaml"),
                  volumeMounts=[{"mountPath": "/etc/app"}])  # fmt: skip
    await stage.command.start()
    assert stage.progress.variables == (("PORT", "8080"), ("CONFIG", "/etc/app/x.yaml"))
    assert stage.progress.warnings == [
        "not taken from the container: NODE_OPTIONS (run code or steer tools); --env NAME takes one all the same",
        "--env NODE_OPTION: container main has no such variable",
        "files that are mounted in the container are not here: CONFIG name such",
    ]


async def test_what_listens_before_it_starts_is_said(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.run_pod()
    stage.listen("127.0.0.1", 3000)
    await stage.command.start()
    assert stage.progress.warnings == [
        "node (pid 4711) on 127.0.0.1:3000 listens before the command has started, so the traffic goes there"
    ]


async def test_one_of_its_ports_is_enough_and_the_other_is_named(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    assert (stage.command.listens(), stage.command.listens_on_all()) == (False, False)
    stage.listen("::1", 3000)
    assert (stage.command.listens(), stage.command.listens_on_all()) == (True, False)
    await stage.command.tell()
    assert stage.progress.steps == ["the traffic goes to node (pid 4711) on [::1]:3000"]
    (warning,) = stage.progress.warnings
    assert warning.startswith("nothing listens on 127.0.0.1:9090, where port 9090 of shop/cart leads")


async def test_one_that_listens_elsewhere_is_told_once_and_the_error_repeats_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, HTTP)
    stage.run_pod()
    await stage.command.start()
    looking = asyncio.create_task(stage.command.look_elsewhere())
    stage.listen("127.0.0.1", 5173)
    async with asyncio.timeout(30):
        await looking
    words = "the command listens on 127.0.0.1:5173, and not on 127.0.0.1:3000: --map 5173"
    assert stage.progress.warnings == [words]
    error = stage.command.not_in_time()
    assert (error.message, error.hint) == ("nothing listens on 127.0.0.1:3000", words)


def test_one_that_never_listens(tmp_path: Path) -> None:
    error = Stage(tmp_path, HTTP).command.not_in_time()
    assert (error.message, error.hint) == ("nothing listens on 127.0.0.1:3000", "--map says where the command listens")


def test_where_a_port_leads_to_is_the_address_that_is_listened_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    ends = LocalEnds(stage.plan.ports, stage.runtime)
    assert [port.number for port in ends.silent()] == [8080, 9090]
    assert ends.local(HTTP) == "127.0.0.1:3000"
    stage.listen("::1", 3000)
    assert [port.number for port in ends.silent()] == [9090]
    assert ends.local(HTTP) == "[::1]:3000"
