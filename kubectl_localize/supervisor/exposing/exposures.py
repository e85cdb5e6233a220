"""All exposures of a supervisor: begun on a command's order, ended when it lets go, restored after a crash."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_localize.cluster.exposing.environment import container_environment, pick_container
from kubectl_localize.cluster.exposing.journal import Entry, Owner, by_hand
from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.identity import here, lives
from kubectl_localize.ls_document import ExposureItem
from kubectl_localize.model import Connection, ServiceKey
from kubectl_localize.protocol import ExposeRequest
from kubectl_localize.supervisor.exposing import checks, restoring
from kubectl_localize.supervisor.exposing.exposure import Exposure
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.exposing.plan import describe
from kubectl_localize.supervisor.exposing.recovery import Recovery
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.supervisor.traffic.server import Admission

log = logging.getLogger(__name__)

Variables = list[tuple[str, str]]


@dataclass(frozen=True)
class Listener:
    """Who is told of an order's progress.

    Args:
        step: takes each step as it is done.
        doing: takes what is waited for from now on.
        warn: takes a sentence about something that is missing.
        run: starts the command with these variables; None where there is no command.
    """

    step: Callable[[str], None]
    doing: Callable[[str], None]
    warn: Callable[[str], None]
    run: Callable[[Variables], Awaitable[None]] | None = None


class Exposures:
    """See the module.

    Args:
        over: called with each exposure that has ended, whatever ended it.
    """

    def __init__(self, runtime: Runtime, *, over: Callable[[Exposure], None]) -> None:
        self._runtime = runtime
        self._over = over
        self._here = here()
        self._record = SessionLedger(runtime.paths.exposures, runtime.paths.exposures_lock)
        self._live: dict[Exposure, object] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.api = runtime.api
        self._means = Means(
            connection=runtime.connection,
            api=runtime.api,
            transport=runtime.transport,
            kubectl_spawner=runtime.kubectl,
            ssh_spawner=runtime.ssh,
            forwarder=runtime.forwarder,
            link=runtime.probe,
            changed=runtime.changed,
            clock=runtime.clock,
            now=runtime.now,
            buffer=runtime.buffer,
            admission=Admission(runtime.peers, os.getuid(), root=False),  # as whom our ssh runs
            refusals=runtime.refusals,
            listens=runtime.system.listens,
            advice=self._advice,
            directory=runtime.directory,
            record=self._record,
        )
        self._recovery = Recovery(
            self.api, self._record, runtime.directory, here=self._here, lives=lives, clock=runtime.clock,
            now=runtime.now, live=lambda: {exposure.plan.session for exposure in self._live},
        )  # fmt: skip
        runtime.renew_too(self)

    @property
    def connection(self) -> Connection:
        """Which cluster, and as whom."""
        return self._runtime.connection

    # -- orders -------------------------------------------------------------------------------------------------------
    async def expose(self, order: ExposeRequest, owner: object, listener: Listener) -> list[str]:
        """Do what was ordered, and return when it is live; with `dry_run` return what would be done.

        Raises: LocalizeError where it cannot be done; everything is as before then.
        """
        if not order.dry_run:
            await self.restore(listener.step)
        findings = await checks.Checks(
            self.api, order, listens=self._runtime.system.listens, now=self._runtime.now, advice=self._advice
        ).run()
        for warning in findings.warnings:
            listener.warn(warning)
        for port in findings.not_carried:
            listener.warn(f"not carried: {port}")
        us = Owner(
            user=findings.user, login=self._here.login, machine=self._here.machine, uid=self._here.uid,
            pid=self._here.pid, started=self._here.started, pid_namespace=self._here.pid_namespace,
        )  # fmt: skip
        exposures = [
            Exposure(
                plan, self._means, us,
                step=listener.step, doing=listener.doing, start_command=self._starter(plan, listener),
            )
            for plan in findings.plans
        ]  # fmt: skip
        if order.dry_run:
            for exposure in exposures:
                try:
                    await exposure.prepare()
                finally:
                    await exposure.discard()
            return [line for plan in findings.plans for line in describe(plan)]
        await self._begin(exposures, owner)
        return []

    def _starter(self, plan: ExposurePlan, listener: Listener) -> Callable[[], Awaitable[None]] | None:
        run = listener.run
        if run is None:
            return None

        async def start() -> None:
            selector = ",".join(f"{name}={value}" for name, value in plan.labels)
            pods = await self.api.items("v1", "pods", plan.namespace, selector)
            pod: dict[str, Any] = (
                pods[0] if pods else {"metadata": {"namespace": plan.namespace}, "spec": plan.replaced["spec"]}
            )
            container = pick_container(pod, plan.ports)
            found = await container_environment(self.api, plan.namespace, pod, container)
            if found.unresolved:
                listener.warn(f"not taken from the container's environment: {', '.join(found.unresolved)}")
            await run(list(found.variables))

        return start

    async def _begin(self, exposures: Sequence[Exposure], owner: object) -> None:
        for exposure in exposures:
            self._live[exposure] = owner
            task = asyncio.create_task(self._live_out(exposure))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        waiting = [asyncio.create_task(_exposed_or_done(exposure)) for exposure in exposures]
        pending = set(waiting)
        while pending and not any(exposure.done.is_set() or exposure.failure for exposure in exposures):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if all(exposure.exposed.is_set() and not exposure.failure for exposure in exposures):
            return
        await self._end(exposures)
        raise next(
            (one.failure for one in exposures if one.failure),
            LocalizeError("the exposure was ended before it was live"),
        )

    async def _live_out(self, exposure: Exposure) -> None:
        try:
            await exposure.run()
        finally:
            self._live.pop(exposure, None)
            self._over(exposure)

    # -- their end ----------------------------------------------------------------------------------------------------
    @property
    def live(self) -> list[Exposure]:
        """Those that have not ended."""
        return list(self._live)

    def of(self, owner: object) -> list[Exposure]:
        """Those that a command holds."""
        return [exposure for exposure, holder in self._live.items() if holder is owner]

    def keep(self, owner: object) -> None:
        """The command goes and what it has begun stays."""
        for exposure in self.of(owner):
            self._live[exposure] = None

    def of_services(self, keys: Iterable[ServiceKey]) -> list[Exposure]:
        """Those of any of these Services."""
        wanted = set(keys)
        return [exposure for exposure in self._live if wanted & set(exposure.plan.services)]

    async def end(
        self, exposures: Sequence[Exposure], step: Callable[[str], None], doing: Callable[[str], None]
    ) -> list[LocalizeError]:
        """End some and wait until everything is back; what could not be brought back."""
        for exposure in exposures:
            exposure.step, exposure.doing = step, doing
        await self._end(exposures)
        return [exposure.failure for exposure in exposures if exposure.failure is not None]

    async def _end(self, exposures: Sequence[Exposure]) -> None:
        for exposure in exposures:
            exposure.end()
        await asyncio.gather(*(exposure.done.wait() for exposure in exposures))

    async def close(self, step: Callable[[str], None], doing: Callable[[str], None]) -> list[LocalizeError]:
        """End all of them, and everything else."""
        failures = await self.end(self.live, step, doing)
        await self._recovery.close()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._runtime.forget(self)
        return failures

    # -- after a crash ------------------------------------------------------------------------------------------------
    async def restore(self, say: Callable[[str], None]) -> set[str]:
        """Undo what crashed runs left in this context, and what we could not bring back ourselves before.

        Returns: the Services, as `ns/name`, whose exposures were undone.
        Raises: LocalizeError where it cannot be undone now.
        """
        return await self._recovery.run(say)

    def _advice(self, held: Sequence[Entry]) -> str:
        """What to do about a session that holds what we want."""
        owner = held[0].owner
        if (owner.machine, owner.uid) != (self._here.machine, self._here.uid):
            return f"ask {owner.login}; if that machine is gone for good: {by_hand(held)}"
        left = restoring.dead_in(held, self._here, lives, self._runtime.now())
        if left is not None:
            return f"`kubectl localize restore` undoes it{f' in {left:.0f} s, if it stays silent' if left else ''}"
        return f"`kubectl localize expose --stop {held[0].services[0]}` ends it"

    # -- what ls shows ------------------------------------------------------------------------------------------------
    def items(self) -> list[ExposureItem]:
        """The items of the `ls` document, by namespace and name."""
        found = [item for exposure in self._live for item in exposure.items(self.connection.context)]
        return sorted(found, key=lambda item: (item.namespace, item.name))

    def renew(self) -> None:
        """Give every exposure fresh connections, now that the API server can be reached again."""
        for exposure in self._live:
            task = asyncio.create_task(exposure.renewed())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _exposed_or_done(exposure: Exposure) -> None:
    ways = [asyncio.ensure_future(exposure.exposed.wait()), asyncio.ensure_future(exposure.done.wait())]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
