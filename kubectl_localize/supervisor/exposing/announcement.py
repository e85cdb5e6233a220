"""Tells colleagues who look at an exposed Service who exposes it: an Event, while it lives and at its end."""

from __future__ import annotations

import logging
from typing import Any

from kubectl_localize.cluster.exposing import events
from kubectl_localize.cluster.exposing.values import ExposurePlan, Provenance
from kubectl_localize.errors import KubectlError
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.supervisor.tasks import Tasks

log = logging.getLogger(__name__)

AGAIN_SECONDS = 45 * 60.0  # API servers forget Events after an hour (--event-ttl)

Json = dict[str, Any]


class Announcement:
    """See the module. It is a courtesy: if Events may not be made, nobody is bothered with that.

    Args:
        provenance: who exposes, and from where.
        informer: has the Services.
        pods: knows the exposure pod.
    """

    def __init__(
        self,
        runtime: Runtime,
        plan: ExposurePlan,
        provenance: Provenance,
        *,
        informer: ExposureInformer,
        pods: ExposurePods,
    ) -> None:
        self._runtime = runtime
        self._plan = plan
        self._provenance = provenance
        self._informer = informer
        self._pods = pods
        self._announced: dict[str, Json] = {}  # the Services, by their uid
        self._tasks = Tasks()

    def begin(self) -> None:
        """Make an Event for each Service now, and again before it is forgotten."""
        self._tasks.start(self._announce(), f"announcing {self._plan.services[0]}")

    async def end(self) -> None:
        """Make the last Event for each Service that has one."""
        await self._tasks.end()
        for service in self._announced.values():
            await self._make(
                service, events.restored(service, self._plan.session, self._provenance, self._runtime.now())
            )

    async def _announce(self) -> None:
        while True:
            for key in self._plan.services:
                service = self._informer.service(key)
                if service is not None:
                    now = self._runtime.now()
                    event = events.exposed(service, self._plan.session, self._provenance, self._pods.name, now)
                    if await self._make(service, event):
                        self._announced[service["metadata"]["uid"]] = service
            await self._runtime.clock.sleep(AGAIN_SECONDS)

    async def _make(self, service: Json, event: Json) -> bool:
        """Make an Event. Returns whether that was possible."""
        try:
            await self._runtime.api.create(events.collection(service["metadata"]["namespace"]), event)
        except KubectlError as error:
            log.info("no Event about Service %s: %s", service["metadata"]["name"], error.message)
            return False
        return True
