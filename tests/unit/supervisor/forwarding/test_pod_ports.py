"""Which ports pods have: asked for once each, and again only if the API server did not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubectl_localize.cluster.store import Store
from kubectl_localize.errors import ForbiddenError, KubectlError, NotFoundError, UnreachableError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.forwarding.pod_ports import PodPorts, container_ports
from kubectl_localize.timing import Clock, Notifier

WEB = ServiceKey("shop", "web")
POD = {"spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]}}


class Pods:
    """An API server that fails as often as there are failures left."""

    def __init__(self, *failures: KubectlError) -> None:
        self.failures = list(failures)
        self.asked: list[str] = []

    async def get(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        if self.failures:
            raise self.failures.pop(0)
        return POD


def ports_of(pods: Pods) -> tuple[PodPorts, Store, list[float]]:
    """What is tested, the store that it tells, and its pauses."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    clock = Clock(lambda: 0.0, sleep)
    store = Store(Notifier(), clock)
    return PodPorts(pods, store, clock), store, pauses


async def test_each_pod_is_asked_for_once_and_the_service_counts_as_changed() -> None:
    pods = Pods()
    ports, store, _ = ports_of(pods)
    assert ports.of(WEB, {"a", "b"}) == {}
    assert ports.of(WEB, {"a", "b"}) == {}
    await ports.settled()
    assert store.take_dirty() == {WEB}
    assert ports.of(WEB, {"a", "b"}) == {"a": (("http", 8080),), "b": (("http", 8080),)}
    assert sorted(pods.asked) == [f"/api/v1/namespaces/shop/pods/{pod}" for pod in "ab"]
    assert ports.of(WEB, {"b"}) == {"b": (("http", 8080),)}
    await ports.end()


async def test_an_api_server_that_does_not_answer_is_asked_again() -> None:
    ports, _, pauses = ports_of(Pods(UnreachableError("no"), UnreachableError("no")))
    ports.of(WEB, {"a"})
    await ports.settled()
    assert ports.of(WEB, {"a"}) == {"a": (("http", 8080),)}
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize("error", [ForbiddenError("you may not"), NotFoundError("gone")])
async def test_a_pod_that_may_not_be_read_has_no_known_port(error: KubectlError) -> None:
    pods = Pods(error)
    ports, _, _ = ports_of(pods)
    ports.of(WEB, {"a"})
    await ports.settled()
    assert ports.of(WEB, {"a"}) == {"a": ()}
    assert len(pods.asked) == 1


async def test_the_end_does_not_wait_for_an_answer() -> None:
    class Hanging(Pods):
        async def get(self, path: str) -> dict[str, Any]:
            await asyncio.Event().wait()
            return POD

    ports, _, _ = ports_of(Hanging())
    ports.of(WEB, {"a"})
    await asyncio.sleep(0)
    await ports.end()


def test_ports_of_all_containers_that_run_on_and_tcp_only() -> None:
    udp = {"containerPort": 53, "protocol": "UDP"}
    pod = {
        "spec": {
            "initContainers": [
                {"ports": [{"containerPort": 1}]},
                {"restartPolicy": "Always", "ports": [{"containerPort": 2}]},
            ],
            "containers": [{"ports": [{"name": "http", "containerPort": 3, "protocol": "TCP"}, udp]}, {}],
        }
    }
    assert container_ports(pod) == (("", 2), ("http", 3))
    assert container_ports({}) == ()
