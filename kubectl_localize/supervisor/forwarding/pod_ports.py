"""Which ports the containers of pods name: what a headless Service without ports listens on.

EndpointSlices say nothing of them, and pods are not watched, so each pod is asked for once: its ports never change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from typing import Any, Protocol

from kubectl_localize.cluster.store import Store
from kubectl_localize.errors import ForbiddenError, KubectlError, NotFoundError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Backoff, Clock, Notifier

log = logging.getLogger(__name__)

RETRY = Backoff(1.0, 30.0)
AT_ONCE = 8

DeclaredPorts = Mapping[str, tuple[tuple[str, int], ...]]


class Pods(Protocol):
    """The part of `cluster.api.Api` that this module uses."""

    async def get(self, path: str) -> dict[str, Any]: ...


class PodPorts:
    """What is known of the ports of pods.

    Args:
        api: asked for pods.
        store: is told of the Service when more is known of its pods.
        clock: for the pauses after failures.
    """

    def __init__(self, api: Pods, store: Store, clock: Clock) -> None:
        self._api = api
        self._store = store
        self._clock = clock
        self._known: dict[ServiceKey, dict[str, tuple[tuple[str, int], ...]]] = {}
        self._asked: set[tuple[ServiceKey, str]] = set()
        self._answered = Notifier()
        self._few = asyncio.Semaphore(AT_ONCE)
        self._tasks = Tasks()

    def of(self, key: ServiceKey, pods: Collection[str]) -> DeclaredPorts:
        """What is known by now of a Service's pods; the others are asked for, and the Service counts as changed then.

        Returns:
            For each pod, names and numbers of its containers' TCP ports.
        """
        known = self._known[key] = {pod: ports for pod, ports in self._known.get(key, {}).items() if pod in pods}
        for pod in sorted(pods):
            if pod not in known and (key, pod) not in self._asked:
                self._asked.add((key, pod))
                self._tasks.start(self._ask(key, pod), f"ports of pod {key.namespace}/{pod}")
        return known

    async def settled(self) -> None:
        """Wait until nothing is asked any more."""
        while self._asked:
            await self._answered.wait()

    async def end(self) -> None:
        """Ask no more."""
        await self._tasks.end()

    async def _ask(self, key: ServiceKey, pod: str) -> None:
        try:
            ports = await self._ports(key.namespace, pod)
        finally:
            self._asked.discard((key, pod))
            self._answered.fire()
        self._known.setdefault(key, {})[pod] = ports
        self._store.touch(key)

    async def _ports(self, namespace: str, pod: str) -> tuple[tuple[str, int], ...]:
        failures = 0
        while True:
            try:
                async with self._few:
                    return container_ports(await self._api.get(f"/api/v1/namespaces/{namespace}/pods/{pod}"))
            except (ForbiddenError, NotFoundError) as error:
                log.info("ports of pod %s/%s: %s", namespace, pod, error.message)
                return ()
            except KubectlError:
                failures += 1
            await self._clock.sleep(RETRY.seconds(failures))


def container_ports(pod: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Names and numbers of the TCP ports that a pod's containers name."""
    spec = pod.get("spec") or {}
    sidecars = [item for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"]
    return tuple(
        (port.get("name") or "", port["containerPort"])
        for container in (*sidecars, *(spec.get("containers") or ()))
        for port in container.get("ports") or ()
        if (port.get("protocol") or "TCP") == "TCP"
    )
