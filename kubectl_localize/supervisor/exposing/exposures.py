"""All exposures of a supervisor: what commands ask for, which command holds which, and how all of them end."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from fnmatch import fnmatchcase

from kubectl_localize.cluster.explaining import explained
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.identity import here, lives
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.ls_document import ExposureItem
from kubectl_localize.model import Connection, ServiceKey
from kubectl_localize.protocol import (
    Accepted,
    ExposeRequest,
    ExposureOver,
    PlanReady,
    Released,
    Restored,
    RestoreDone,
    RestoreRequest,
    UnexposeRequest,
)
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.supervisor.exposing.exposure import Exposure
from kubectl_localize.supervisor.exposing.keeping import with_command
from kubectl_localize.supervisor.exposing.postponed import ending
from kubectl_localize.supervisor.exposing.preparation import Preparation
from kubectl_localize.supervisor.exposing.progress import (
    BackgroundProgress,
    CommandProgress,
    Progress,
    SharedProgress,
)
from kubectl_localize.supervisor.exposing.recovery import Recovery
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.supervisor.lifetime import Lifetime
from kubectl_localize.supervisor.runtime import Runtime, RuntimeSource
from kubectl_localize.supervisor.tasks import Tasks, give_up
from kubectl_localize.timing import first_of

log = logging.getLogger(__name__)


class Exposures:
    """The one door to everything that a supervisor does about exposures.

    It reaches no cluster before a command asks for something.

    Args:
        run: this context's files.
        runtimes: reaches the cluster, once a request names it.
        lifetime: is held by each exposure, and by each command while it is worked for.
    """

    def __init__(
        self,
        run: RunPaths,
        runtimes: RuntimeSource,
        control: ControlServer,
        lifetime: Lifetime,
    ) -> None:
        self._run = run
        self._runtimes = runtimes
        self._control = control
        self._lifetime = lifetime
        self._ledger = SessionLedger(run.exposures, run.exposures_lock)
        self._holders: dict[Exposure, Client | None] = {}  # None: it stays when the command has gone
        self._tasks = Tasks()
        self._recovery: Recovery | None = None
        self._recovering: asyncio.Task[None] | None = None

    # -- what commands ask for ----------------------------------------------------------------------------------------
    async def expose(self, client: Client, request: ExposeRequest) -> bool:
        """Begin exposures; take back what there is of them if the command lets go, is gone, or it fails.

        Returns:
            Whether they are live.
        """
        work: asyncio.Task[tuple[str, ...]] = asyncio.create_task(self._expose(client, request))
        if not await self._carry_out(client, work, request.connection):
            return False
        if request.dry_run:
            client.send(PlanReady(work.result()))
            self._lifetime.release(client)
            return False
        if request.detach:
            for exposure in self._of(client):
                self._holders[exposure] = None
            self._lifetime.release(client)
        return True

    async def restore(self, client: Client, request: RestoreRequest) -> None:
        """Undo what crashed runs left in the cluster; the command hears what is done, and what is left alone."""
        work = asyncio.create_task(self._restore(client, request))
        had_leftovers = work.result() if await self._carry_out(client, work, request.connection) else True
        self._lifetime.release(client)
        client.send(RestoreDone(had_leftovers, self._ends_now))

    async def unexpose(self, client: Client, request: UnexposeRequest) -> None:
        """End the exposures of some Services; the command hears when their workloads are back.

        Raises:
            LocalizeError: one is not exposed from here, or its workload could not be brought back.
        """
        progress = CommandProgress(client)
        exposures = self._of_services(request.services)
        exposed = {key for exposure in exposures for key in exposure.plan.services}
        missing = [key for key in request.services if key not in exposed]
        if missing and self._recovery is not None:  # perhaps it could not be brought back when it ended
            undone = await self._recovery.run(progress)
            missing = [key for key in missing if str(key) not in undone]
        if missing:
            raise LocalizeError(f"{missing[0]} is not exposed from here", "`kubectl localize ls` lists what is")
        failures = await self._end(exposures, progress)
        if failures:
            raise failures[0]
        self._lifetime.release(client)  # it may have held nothing, and nobody else does
        client.send(Restored(self._ends_now))

    async def stop(self, client: Client, patterns: Sequence[str]) -> list[LocalizeError]:
        """End the exposures of some Services, whichever command holds them.

        Args:
            patterns: `ns/svc` or globs of it.

        Returns:
            What could not be brought back.
        """
        exposures = [
            exposure
            for exposure in self._holders
            if any(fnmatchcase(str(key), pattern) for key in exposure.plan.services for pattern in patterns)
        ]
        return await self._end(exposures, CommandProgress(client))

    async def let_go(self, client: Client) -> list[LocalizeError]:
        """End what a command holds, and wait until everything is back.

        Returns:
            What could not be brought back.
        """
        return await self._end(self._of(client), CommandProgress(client))

    def recover(self, connection: Connection) -> None:
        """Undo in the background what a crashed run of this context left in the cluster, if the ledger has any."""
        if self._recovering is None and self._run.exposures.exists():
            self._recovering = self._tasks.start(self._recover(connection), "undoing what a crashed run left")

    # -- how a request is carried out ---------------------------------------------------------------------------------
    async def _carry_out(self, client: Client, work: asyncio.Task[object], connection: Connection) -> bool:
        """Work for a command, at `connection`, until it is done, the command leaves, or the supervisor ends.

        Returns:
            Whether it was done; if not, the command has heard why, and everything is as before.
        """
        self._lifetime.hold(client)
        client.send(Accepted())
        await self._lifetime.until_left(client, work)
        if not work.done():
            failures = await self.let_go(client)
            # its exposures have ended, its checks change nothing, and a recovery is brought to its end first
            await give_up(work, "a command's request")
            for failure in failures:
                client.fail(failure)
            self._lifetime.release(client)
            client.send(Released(self._ends_now))
            return False
        if (error := work.exception()) is not None:
            client.fail(explained(error, connection) if isinstance(error, LocalizeError) else error)
            self._lifetime.release(client)
            return False
        return True

    async def _expose(self, client: Client, request: ExposeRequest) -> tuple[str, ...]:
        """Check, begin, and return when it is live; with `dry_run` only check, and return what would be done.

        Raises:
            LocalizeError: it cannot be done; everything is as before then.
        """
        progress = CommandProgress(client)
        runtime, recovery = await self._reach(request.connection)
        if not request.dry_run:
            await recovery.run(progress)
        preparation = Preparation(runtime, self._ledger, self._judge(runtime), progress)
        findings = await preparation.check(request)
        if isinstance(findings, list):
            return tuple(findings)
        exposures = preparation.exposures(request, findings)
        if request.dry_run:
            return await preparation.rehearse(exposures, findings)
        if findings.programs:
            progress.step(f"the traffic goes to {', '.join(findings.programs)}")
        try:
            await self._begin(exposures, client)
        except LocalizeError as error:
            raise with_command(error, request) from error
        return ()

    async def _begin(self, exposures: Sequence[Exposure], client: Client) -> None:
        for exposure in exposures:
            self._holders[exposure] = client
            self._lifetime.hold(exposure)
            self._tasks.start(self._live_out(exposure), f"exposing {exposure.plan.services[0]}")
        settled = [asyncio.create_task(_settled(exposure)) for exposure in exposures]
        pending = set(settled)
        while pending and not any(exposure.done.is_set() or exposure.failure for exposure in exposures):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if all(exposure.exposed.is_set() and not exposure.failure for exposure in exposures):
            return
        for failure in await self._bring_back(exposures):
            exposures[0].progress.warn(f"{failure.message}; {failure.hint}")
        failures = [exposure.failure for exposure in exposures if exposure.failure is not None]
        for exposure in self.postponed():
            exposure.failure = None  # it is told now, and what comes of the way back is another matter
        raise failures[0] if failures else LocalizeError("the exposure was ended before it was live")

    async def _live_out(self, exposure: Exposure) -> None:
        try:
            await exposure.run()
        finally:
            self._holders.pop(exposure, None)
            self._tell_over(exposure)

    def _tell_over(self, exposure: Exposure) -> None:
        services = tuple(str(key) for key in exposure.plan.services)
        failure = exposure.failure
        if exposure.exposed.is_set():  # its holder has to hear of it, also if another command has ended it
            message, hint = (failure.message, failure.hint) if failure is not None else ("", "")
            self._control.broadcast(ExposureOver(services, message, hint, self._ends_now))
        log.info("exposure of %s is over: %s", ", ".join(services), failure or "as asked")
        self._lifetime.release(exposure)

    async def _restore(self, client: Client, request: RestoreRequest) -> bool:
        _, recovery = await self._reach(request.connection)
        progress, waiting = CommandProgress(client), self.postponed()
        if not request.dry_run:
            for failure in await self._end(waiting, progress):
                progress.fail(failure)
        return await recovery.restore(request, progress) or bool(waiting)

    async def _recover(self, connection: Connection) -> None:
        progress = BackgroundProgress(self._control)
        try:
            _, recovery = await self._reach(connection)
            await recovery.run(progress)
        except LocalizeError as error:
            progress.fail(explained(error, connection))

    async def remake_files(self) -> None:
        """Make the files of all exposures anew, which somebody has removed.

        Raises:
            OSError: one cannot be written.
            LocalizeError: another process holds the ledger's lock.
        """
        for exposure in list(self._holders):
            await exposure.remake_files()

    # -- the cluster --------------------------------------------------------------------------------------------------
    async def _reach(self, connection: Connection) -> tuple[Runtime, Recovery]:
        """Get the runtime and the recovery, which all requests of this supervisor share.

        Raises:
            LocalizeError: it is in use already as another user, or the context is another cluster now.
        """
        runtime = await self._runtimes.get(connection)
        if self._recovery is None:
            self._recovery = Recovery(
                runtime.api, self._ledger, self._run.directory, judge=self._judge(runtime), clock=runtime.clock,
                live=self,
            )  # fmt: skip
            runtime.renew_too(self)
        return runtime, self._recovery

    def _judge(self, runtime: Runtime) -> Judge:
        return Judge(here(), lives, runtime.now)

    def renew(self) -> None:
        """Give every exposure new connections, as the old ones may be dead: the API server was away."""
        for exposure in self._holders:
            self._tasks.start(exposure.renewed(), f"renewing {exposure.plan.services[0]}")

    # -- their end ----------------------------------------------------------------------------------------------------
    def _of(self, client: Client) -> list[Exposure]:
        return [exposure for exposure, holder in self._holders.items() if holder is client]

    def _of_services(self, keys: Iterable[ServiceKey]) -> list[Exposure]:
        wanted = set(keys)
        return [exposure for exposure in self._holders if wanted & set(exposure.plan.services)]

    async def _end(self, exposures: Sequence[Exposure], progress: Progress) -> list[LocalizeError]:
        """End some and wait until everything is back, or cannot be brought back for now. Returns what is not back."""
        for exposure in exposures:
            exposure.progress = progress
        postponed = await self._bring_back(exposures)
        return [*postponed, *(exposure.failure for exposure in exposures if exposure.failure is not None)]

    async def _bring_back(self, exposures: Sequence[Exposure]) -> list[LocalizeError]:
        """End some; what cannot be brought back for now goes on by itself. Returns why it cannot."""
        for exposure in exposures:
            exposure.end()
        await asyncio.gather(*(exposure.settled.wait() for exposure in exposures))
        waiting = [exposure for exposure in exposures if exposure in self._holders and exposure.postponed is not None]
        for exposure in waiting:
            self._holders[exposure] = None  # the command is not waited for
            exposure.progress = BackgroundProgress(self._control)
        return [exposure.postponed for exposure in waiting if exposure.postponed is not None]

    async def end_all(self) -> bool:
        """Bring everything back; every connected command hears of it.

        Returns:
            Whether all of it is back; the rest is tried again.
        """
        progress, exposures = SharedProgress(self._control), list(self._holders)
        for failure in await self._end(exposures, progress):
            progress.fail(failure)
        return all(exposure.done.is_set() for exposure in exposures)

    async def close(self) -> None:
        """Bring everything back that is not, however long that takes.

        What is alive comes first: to undo what a crashed run left may take minutes, and is waited for at the end.
        """
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._tasks.end)
            if self._recovery is not None:
                stack.push_async_callback(self._recovery.close)
            exposures = list(self._holders)
            for exposure in exposures:
                exposure.end()
            await asyncio.gather(*(exposure.done.wait() for exposure in exposures))

    @property
    def _ends_now(self) -> bool:
        """Whether the supervisor ends, and nothing keeps it for a while."""
        return self._lifetime.is_ending and not self.postponed()

    def postponed(self) -> list[Exposure]:
        """The exposures that are to end, and cannot be brought back for now."""
        return [exposure for exposure in self._holders if exposure.postponed is not None]

    def ending_error(self) -> LocalizeError:
        """The error for a command that wants to begin something while `postponed` is waited for."""
        waiting = [(str(key), exposure.reason) for exposure in self.postponed() for key in exposure.plan.services]
        return ending(os.getpid(), waiting)

    # -- what the supervisor asks -------------------------------------------------------------------------------------
    def live_sessions(self) -> set[str]:
        """The sessions of all exposures, which no recovery may touch."""
        return {exposure.plan.session for exposure in self._holders}

    def items(self) -> list[ExposureItem]:
        """The exposures' items of the `ls` document, by namespace and name."""
        runtime = self._runtimes.runtime
        context = runtime.connection.context if runtime is not None else ""
        items = [item for exposure in self._holders for item in exposure.items(context)]
        return sorted(items, key=lambda item: (item.namespace, item.name))


async def _settled(exposure: Exposure) -> None:
    """Wait until an exposure is live, has ended, or cannot be ended for now."""
    await first_of(exposure.exposed.wait(), exposure.settled.wait())
