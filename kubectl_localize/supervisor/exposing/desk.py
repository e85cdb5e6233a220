"""Where commands ask for exposures: who holds which, and what each command hears."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.ls_document import ExposureItem
from kubectl_localize.model import Connection
from kubectl_localize.protocol import (
    Accepted,
    CommandWanted,
    ExposeRequest,
    ExposureOver,
    Failed,
    PlanReady,
    Progress,
    Released,
    Restored,
    Step,
    UnexposeRequest,
    Warn,
)
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.supervisor.exposing.exposure import Exposure
from kubectl_localize.supervisor.exposing.exposures import Exposures, Listener
from kubectl_localize.supervisor.requests import failed, until_left
from kubectl_localize.supervisor.runtime import RuntimeSource

log = logging.getLogger(__name__)


class Desk:
    """All that a supervisor does about exposures; it reaches no cluster before the first one is asked for.

    Args:
        ending: set when the supervisor is to end.
        quit_if_free: called when an exposure has ended, and nobody may hold the supervisor any more.
    """

    def __init__(
        self,
        run: RunPaths,
        runtime: RuntimeSource,
        control: ControlServer,
        ending: asyncio.Event,
        *,
        quit_if_free: Callable[[], None],
    ) -> None:
        self._run = run
        self._runtime = runtime
        self._control = control
        self._ending = ending
        self._quit_if_free = quit_if_free
        self._exposures: Exposures | None = None
        self._restoring: asyncio.Task[None] | None = None

    # -- what commands ask for ----------------------------------------------------------------------------------------
    async def expose(self, client: Client, order: ExposeRequest) -> bool:
        """Begin exposures; take back what there is of them when the command lets go, is gone, or it fails.

        Returns: whether they are live.
        """
        client.holds = True
        client.send(Accepted())
        work = asyncio.create_task(self._begin(client, order))
        await until_left(client, work, self._ending)
        if not work.done():
            failures = await self.let_go(client)
            work.cancel()  # its exposures have ended, its checks change nothing, and a restore is ended first
            await asyncio.wait((work,))
            for failure in failures:
                client.fail(failure)
            client.holds = False
            self._quit_if_free()
            client.send(Released(self._ending.is_set()))
            return False
        if failed(client, work):
            self._quit_if_free()
            return False
        if order.dry_run:
            client.holds = False
            client.send(PlanReady(tuple(work.result())))
            self._quit_if_free()
            return False
        if order.detach and self._exposures is not None:
            self._exposures.keep(client)
            client.holds = False
        return True

    async def _begin(self, client: Client, order: ExposeRequest) -> list[str]:
        exposures = await self._reach(order.connection)

        async def run(variables: list[tuple[str, str]]) -> None:
            await client.ask(CommandWanted(0, tuple(variables)))

        def warn(text: str) -> None:
            log.warning("%s", text)
            client.send(Warn(text))

        start = run if order.command else None
        return await exposures.expose(order, client, Listener(_teller(client), _progress(client), warn, start))

    async def unexpose(self, client: Client, request: UnexposeRequest) -> None:
        """End the exposures of some Services; the command hears when their workloads are back.

        Raises: LocalizeError where one is not exposed from here, or its workload could not be brought back.
        """
        keys = request.services
        found = self._exposures.of_services(keys) if self._exposures is not None else []
        missing = [key for key in keys if not any(key in one.plan.services for one in found)]
        if missing and self._exposures is not None:  # perhaps one that could not be brought back when it ended
            undone = await self._exposures.restore(_teller(client))
            missing = [key for key in missing if str(key) not in undone]
        if self._exposures is None or missing:
            raise LocalizeError(f"{missing[0]} is not exposed from here", "`kubectl localize ls` lists what is")
        failures = await self._exposures.end(found, _teller(client), _progress(client))
        if failures:
            raise failures[0]
        self._quit_if_free()
        client.send(Restored(self._ending.is_set()))

    async def let_go(self, client: Client) -> list[LocalizeError]:
        """End what a command holds; what could not be brought back."""
        if self._exposures is None:
            return []
        return await self._exposures.end(self._exposures.of(client), _teller(client), _progress(client))

    def restore(self, connection: Connection, *, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
        """Undo what a crashed run of this context left in the cluster, if anything; nobody waits for it."""
        if self._restoring is None and self._run.exposures.exists():
            self._restoring = asyncio.create_task(self._restore(connection, say, warn))

    async def _restore(self, connection: Connection, say: Callable[[str], None], warn: Callable[[str], None]) -> None:
        try:
            exposures = await self._reach(connection)
            await exposures.restore(say)
        except LocalizeError as error:
            warn(f"{error.message}; {error.hint}" if error.hint else error.message)

    async def _reach(self, connection: Connection) -> Exposures:
        """What exposures reach the cluster by, which all orders of this supervisor share."""
        runtime = await self._runtime.get(connection)
        if self._exposures is None:
            self._exposures = Exposures(runtime, over=self._is_over)
        return self._exposures

    def _is_over(self, exposure: Exposure) -> None:
        names = [str(key) for key in exposure.plan.services]
        failure = exposure.failure
        if exposure.exposed.is_set():  # whoever holds it has to hear of it, also where another command has ended it
            message, hint = (failure.message, failure.hint) if failure is not None else ("", "")
            self._control.broadcast(ExposureOver(tuple(names), message, hint, self._ending.is_set()))
        log.info("exposure of %s is over: %s", ", ".join(names), failure or "as asked")
        self._quit_if_free()

    # -- what the supervisor asks -------------------------------------------------------------------------------------
    @property
    def busy(self) -> bool:
        """Whether there are exposures, which keep the supervisor."""
        return self._exposures is not None and bool(self._exposures.live)

    def items(self) -> list[ExposureItem]:
        """The exposures' items of the `ls` document."""
        return self._exposures.items() if self._exposures is not None else []

    @property
    def context(self) -> str:
        """The context that exposures are in; empty before the first one."""
        return self._exposures.connection.context if self._exposures is not None else ""

    async def close(self) -> None:
        """Bring everything back; whoever still listens hears of it."""
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.wait((self._restoring,))
        if self._exposures is None:
            return
        failures = await self._exposures.close(
            lambda text: self._control.broadcast(Step(text)),
            lambda text: self._control.broadcast(Progress(text)),
        )
        for failure in failures:
            self._control.broadcast(Failed(failure.message, failure.hint))


def _teller(client: Client) -> Callable[[str], None]:
    """Tells a command each step as it is done."""

    def tell(text: str) -> None:
        log.info("%s", text)
        client.send(Step(text))

    return tell


def _progress(client: Client) -> Callable[[str], None]:
    """Tells a command what is waited for; the log has what is done."""
    return lambda text: client.send(Progress(text))
