"""The supervisor's top: passes each request on, knows which commands hold it, and ends everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kubectl_localize import __version__
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths, write_atomic
from kubectl_localize.ls_document import ForwardCounts, LsDocument, SupervisorItem, rfc3339
from kubectl_localize.protocol import (
    Accepted,
    Ended,
    Exposed,
    ExposeRequest,
    Postponed,
    PrivilegesNeeded,
    Progress,
    Ready,
    Released,
    ReleaseRequest,
    Request,
    RestoreDone,
    RestoreRequest,
    StartRequest,
    StopRequest,
    Taken,
    UnexposeRequest,
    Warn,
)
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.supervisor.lifetime import Lifetime
from kubectl_localize.supervisor.processes.process import Groups
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.supervisor.runtime import RuntimeSource
from kubectl_localize.supervisor.state_file import StateFile
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Clock, all_of

if TYPE_CHECKING:
    from kubectl_localize.supervisor.exposing.exposures import Exposures
    from kubectl_localize.supervisor.forwarding.forwards import Forwards
    from kubectl_localize.supervisor.forwarding.helpers import PrivilegeRequest

log = logging.getLogger(__name__)


class App:
    """One supervisor: its forwards, its exposures, and the commands that hold it.

    Args:
        paths: the files of this user.
        run: the files of this context.
        groups: what ends our children when this process is gone.
    """

    def __init__(self, paths: Paths, run: RunPaths, groups: Groups) -> None:
        self._paths = paths
        self._run = run
        self._control = ControlServer(run.control, self)
        self._reporter = Reporter(self._control)
        self._state = StateFile(run.state, write_atomic, self, Clock(time.monotonic, asyncio.sleep), self._reporter)
        self._tasks = Tasks()
        self._lifetime = Lifetime()
        self._runtimes = RuntimeSource(run, groups)
        self._forwards: Forwards | None = None
        self._exposures: Exposures | None = None
        self._shows_state = False
        self._starting = asyncio.Lock()
        self._since = datetime.now(UTC)

    async def run(self, inherited: socket.socket) -> None:
        """Serve until nobody holds the supervisor any more, then undo everything.

        Args:
            inherited: the starting command's connection.

        Raises:
            OSError: the control socket cannot be made.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._lifetime.end)
        await self._control.start()
        await self._control.adopt(inherited)
        await self._lifetime.wait_ending()
        log.info("ending")
        self._control.stop_listening()
        await self._end()

    async def _end(self) -> None:
        """Undo everything, the last line first; a step that fails does not skip the others."""
        async with AsyncExitStack() as steps:
            steps.push_async_callback(self._control.close)
            steps.callback(self._control.broadcast, Ended())
            steps.callback(self._state.remove)
            steps.push_async_callback(self._runtimes.close)
            await steps.enter_async_context(self._starting)  # a start that is under way gives up first
            steps.push_async_callback(self._end_forwards)
            steps.push_async_callback(self._tasks.end)
            if self._exposures is not None:
                steps.push_async_callback(self._exposures.close)
                steps.push_async_callback(self._bring_back, self._exposures)

    async def _bring_back(self, exposures: Exposures) -> None:
        """End the exposures. While one cannot be brought back, stay for it and take commands, without the forwards."""
        if await exposures.end_all():
            return
        await self._end_forwards()
        await self._control.start()
        self._refresh_state()
        self._control.broadcast(Postponed())
        await exposures.close()
        self._control.stop_listening()

    async def _end_forwards(self) -> None:
        forwards, self._forwards = self._forwards, None
        if forwards is not None:
            await forwards.end()

    # -- requests -----------------------------------------------------------------------------------------------------
    async def serve(self, client: Client) -> None:
        """Carry out one command's requests, one after the other, and take back what it holds when it goes."""
        try:
            while (request := await client.receive()) is not None:
                await self._carry_out(client, request)
        finally:
            await self._let_go(client)

    async def _carry_out(self, client: Client, request: Request) -> None:
        match request:
            case StartRequest() | ExposeRequest() if self._waits_for_exposures():
                client.fail(self._exposing().ending_error())
            case StopRequest() | RestoreRequest() if self._waits_for_exposures():
                client.send(Accepted())
                if not await self._exposing().end_all():
                    self._refresh_state()
                    client.send(Postponed() if isinstance(request, StopRequest) else RestoreDone(had_leftovers=True))
            case StartRequest() | ExposeRequest() | RestoreRequest() if self._lifetime.is_ending:
                client.send(Taken())  # a command that comes so late has to ask the next supervisor
            case StartRequest():
                await self._start(client, request)
            case ExposeRequest():
                if await self._exposing().expose(client, request):
                    client.send(Exposed(self._show_state()))
            case UnexposeRequest():
                client.send(Accepted())
                try:
                    await self._exposing().unexpose(client, request)
                finally:
                    self._refresh_state()
            case RestoreRequest():
                await self._exposing().restore(client, request)
            case ReleaseRequest():
                await self._release(client)
            case StopRequest():
                client.send(Accepted())
                self._lifetime.end()

    def _waits_for_exposures(self) -> bool:
        """Whether everything is to end, and there are exposures that cannot be brought back for now."""
        return self._lifetime.is_ending and self._exposures is not None and bool(self._exposures.postponed())

    def _exposing(self) -> Exposures:
        """The exposures, whose many imports a supervisor that only forwards does without."""
        if self._exposures is None:
            from kubectl_localize.supervisor.exposing.exposures import Exposures

            self._exposures = Exposures(self._run, self._runtimes, self._control, self._lifetime)
        return self._exposures

    # -- who holds the supervisor -------------------------------------------------------------------------------------
    async def _release(self, client: Client) -> None:
        for failure in await self._let_go(client):
            client.fail(failure)
        self._refresh_state()
        client.send(Released(self._lifetime.is_ending and not self._waits_for_exposures()))

    async def _let_go(self, client: Client) -> list[LocalizeError]:
        """Take back what this command holds. Returns what could not be taken back."""
        failures = await self._exposures.let_go(client) if self._exposures is not None else []
        self._lifetime.release(client)
        return failures

    # -- forwards -----------------------------------------------------------------------------------------------------
    async def _start(self, client: Client, request: StartRequest) -> None:
        """Start the forwards, or join those that run; give up if the command lets go or is gone."""
        self._lifetime.hold(client)
        client.send(Accepted())
        work = asyncio.create_task(self._start_or_join(client, request))
        await self._lifetime.until_left(client, work)
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
        if work.cancelled():
            await self._release(client)
        elif (failure := work.exception()) is not None:
            client.fail(failure)
            self._lifetime.release(client)
        elif request.detach:
            self._lifetime.hold(self._forwards)
            self._lifetime.release(client)

    async def _start_or_join(self, client: Client, request: StartRequest) -> None:
        async with self._starting:
            if self._forwards is None:
                warnings = await self._open(client, request)
            else:
                warnings = await self._join(client, self._forwards, request)
            document = self._show_state()
        for warning in warnings:
            client.send(Warn(warning))
        client.send(Ready(ForwardCounts.of(document), None if request.detach else document))
        if self._run.exposures.exists():  # a crashed run left something
            self._exposing().recover(request.connection)

    async def _open(self, client: Client, request: StartRequest) -> list[str]:
        client.send(Progress("listing Services"))
        runtime = await self._runtimes.get(request.connection)
        # Not at the top: `kubectl proxy`, which the runtime has just started, takes longer than these imports.
        from kubectl_localize.supervisor.forwarding.forwards import Forwards

        forwards = Forwards(request, runtime, self._paths, self._reporter)
        async with AsyncExitStack() as failing:
            failing.push_async_callback(forwards.end)
            if needs := await forwards.begin():
                await all_of(self._ask(client, needs), forwards.open_unprivileged())
            client.send(Progress("opening forwards"))
            warnings = await forwards.open()
            self._forwards = forwards
            failing.pop_all()
        return warnings

    async def _join(self, client: Client, forwards: Forwards, request: StartRequest) -> list[str]:
        await self._runtimes.get(request.connection)
        # Its way to the cluster is ours, or the runtime would have refused it; the server's address may have changed.
        connection = replace(forwards.request.connection, namespace=request.connection.namespace)
        from kubectl_localize.cluster.selection import describe

        if replace(forwards.request, detach=False) != replace(request, detach=False, connection=connection):
            raise LocalizeError(
                f"context {request.connection.context} is already forwarded by pid {os.getpid()},"
                f" with another selection or other options: by `{describe(forwards.request.selection)}`",
                "`kubectl localize stop` ends it, `kubectl localize ls` lists it",
            )
        if needs := await forwards.needs():
            await self._ask(client, needs)
            return await forwards.improve()
        return forwards.warnings()

    async def _ask(self, client: Client, needs: PrivilegeRequest) -> None:
        """Have the command, which has the terminal, start the privileged helper; if it cannot, we go on without."""
        await client.ask(PrivilegesNeeded(0, needs.hosts, needs.ports, needs.addresses))

    # -- what ls shows ------------------------------------------------------------------------------------------------
    def _show_state(self) -> LsDocument:
        """Write the state file, and keep it true from now on. Returns what it says."""
        document = self._state.update()
        if not self._shows_state:
            self._shows_state = True
            self._tasks.start(self._state.run(), "the state file")
        return document

    def _refresh_state(self) -> None:
        """Write the state file now: whoever hears what we are about to say may look at it at once."""
        if self._shows_state:
            self._state.update()

    def activity(self) -> tuple[int, int]:
        """Two numbers that grow, the first with every change, the second with every read of relayed bytes."""
        return self._runtimes.activity

    def document(self) -> LsDocument:
        """What `ls` shows of this supervisor: forwards, exposures, or both."""
        runtime = self._runtimes.runtime
        context = runtime.connection.context if runtime is not None else ""
        own = SupervisorItem(context, os.getpid(), rfc3339(self._since), __version__)
        exposures = self._exposures.items() if self._exposures is not None else []
        if self._forwards is None:
            return LsDocument((own,), tuple(exposures))
        return LsDocument((self._forwards.supervisor_item(own),), (*self._forwards.items(), *exposures))


async def serve(paths: Paths, run: RunPaths, groups: Groups, inherited: socket.socket) -> None:
    """Run a supervisor to its end."""
    app = App(paths, run, groups)
    with contextlib.suppress(asyncio.CancelledError):
        await app.run(inherited)
