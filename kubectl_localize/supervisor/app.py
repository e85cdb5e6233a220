"""The supervisor's top: passes each request on, knows which commands hold it, and ends everything in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kubectl_localize import __version__
from kubectl_localize.errors import LocalizeError, UnauthorizedError
from kubectl_localize.host.paths import Paths, RunPaths, write_atomic
from kubectl_localize.ls_document import ForwardCounts, LsDocument, SupervisorItem, rfc3339
from kubectl_localize.protocol import (
    Accepted,
    Ended,
    Exposed,
    ExposeRequest,
    ForwardsOver,
    LoginNeeded,
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
    Stopped,
    StopRequest,
    Taken,
    UnexposeRequest,
)
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.supervisor.housekeeping import Housekeeping
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
    from kubectl_localize.supervisor.forwarding.holds import Hold

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
        self._held_by: dict[Client, Hold] = {}  # which forwards each connected command holds
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
        log.info("supervisor %s begins, with pid %d", __version__, os.getpid())
        await self._control.start()
        await self._control.adopt(inherited)
        await self._lifetime.wait_ending()
        log.info("the supervisor ends")
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
                await self._stop(client, request)

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
        hold = self._held_by.pop(client, None)
        if hold is not None and self._lifetime.has_others_than(client):  # else all of it ends at once
            log.info("Services that a command lets go of: %d", len(hold.keys))
            await self._release_forwards(hold)
        self._lifetime.release(client)
        return failures

    async def _release_forwards(self, *holds: Hold) -> None:
        """Take away what only these hold; all that forwards need, if nobody else holds any."""
        forwards = self._forwards
        if forwards is None:
            return
        for hold in holds:
            await forwards.release(hold)
        async with self._starting:
            if not forwards.holds and self._forwards is forwards:
                await self._end_forwards()
        if not self._lifetime.is_ending:
            self._refresh_state()

    async def _stop(self, client: Client, request: StopRequest) -> None:
        """End everything, or the exposures and forwards of some Services, whoever holds them."""
        if not request.patterns:
            self._lifetime.end()
            return
        log.info("stop %s", " ".join(request.patterns))
        if self._exposures is not None:
            for failure in await self._exposures.stop(client, request.patterns):
                client.fail(failure)
        if self._forwards is not None:
            over = await self._forwards.stop(request.patterns)
            commands = [command for command, hold in self._held_by.items() if hold in over]
            for command in commands:
                command.send(ForwardsOver())
            await self._release_forwards(*(hold for hold in over if hold.background))
            for hold in over:
                if hold.background:
                    self._lifetime.release(hold)
        client.send(Stopped(self._lifetime.is_ending and not self._waits_for_exposures()))

    # -- forwards -----------------------------------------------------------------------------------------------------
    async def _start(self, client: Client, request: StartRequest) -> None:
        """Forward what a command asks for, beside what runs already; give up if the command lets go or is gone."""
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
            self._keep_in_background(client)

    def _keep_in_background(self, client: Client) -> None:
        """Let what a command holds outlive it."""
        hold = self._held_by.pop(client)
        assert self._forwards is not None
        before = self._forwards.holds.keep_in_background(hold)
        self._lifetime.hold(hold)
        if before is not None:
            self._lifetime.release(before)
        client.interest = None
        self._lifetime.release(client)

    async def _start_or_join(self, client: Client, request: StartRequest) -> None:
        async with AsyncExitStack() as failing:
            async with self._starting:
                forwards = self._forwards
                if forwards is None:
                    forwards, hold = await self._open(client, request)
                else:
                    hold = forwards.new_hold(request)
                    forwards.holds.add(hold)
                client.interest = hold
                failing.push_async_callback(self._release_forwards, hold)
            if not hold.active:
                await self._join(client, forwards, hold, request)
            warnings = await forwards.warnings(hold)
            self._held_by[client] = hold
            failing.pop_all()
        document = self._show_state().of(hold.keys)
        for warning in warnings:
            client.send(warning)
        shown = None if request.detach else document
        counts, example = ForwardCounts.of(document), forwards.example(document)
        client.send(Ready(counts, shown, example, forwards.written_to, document.namespaces))
        hold.told = True
        log.info(
            "Services that a command forwards%s: %d", " in the background" if request.detach else "", len(hold.keys)
        )
        if self._run.exposures.exists():  # a crashed run left something
            self._exposing().recover(request.connection)

    async def _open(self, client: Client, request: StartRequest) -> tuple[Forwards, Hold]:
        client.send(Progress("listing Services"))
        runtime = await self._runtimes.get(request.connection)
        # Not at the top: `kubectl proxy`, which the runtime has just started, takes longer than these imports.
        from kubectl_localize.supervisor.forwarding.forwards import Forwards

        if request.connection.may_ask:
            await self._logged_in(client, request, runtime.verify())
        forwards = Forwards(request.options, runtime, self._paths, self._reporter)
        async with AsyncExitStack() as failing:
            failing.push_async_callback(forwards.end)
            hold = forwards.new_hold(request)
            if needs := await forwards.begin(hold):
                await all_of(self._ask(client, needs), forwards.open_unprivileged())
            client.send(Progress("opening forwards"))
            await forwards.open()
            self._forwards = forwards
            failing.pop_all()
        return forwards, hold

    async def _join(self, client: Client, forwards: Forwards, hold: Hold, request: StartRequest) -> None:
        """Forward what one more command asks for."""
        await self._logged_in(client, request, self._runtimes.get(request.connection))
        if needs := await forwards.prepare(hold):
            await self._ask(client, needs)
        await forwards.improve(hold)

    async def _logged_in(self, client: Client, request: StartRequest, attempt: Awaitable[object]) -> None:
        """Wait for an attempt; if its credentials are not accepted, have the command's terminal ask for others once."""
        try:
            await attempt
        except UnauthorizedError:
            runtime = self._runtimes.runtime
            if runtime is None or not request.connection.may_ask or not await client.ask(LoginNeeded(0)):
                raise
            runtime.transport.renew()
            await runtime.verify()

    async def _ask(self, client: Client, needs: PrivilegeRequest) -> None:
        """Have the command, which has the terminal, start the privileged helper; if it cannot, we go on without."""
        await client.ask(PrivilegesNeeded(0, needs.hosts, needs.ports, needs.addresses))

    # -- what was removed ---------------------------------------------------------------------------------------------
    def misses_socket(self) -> bool:
        """Whether the control socket should be there, and is not."""
        return self._control.is_listening and not self._run.control.exists()

    async def remake_files(self) -> None:
        """Make anew what somebody has removed: the sockets, the state file, and what kubectl and exposures need."""
        if self._control.is_listening:
            self._control.stop_listening()
            await self._control.start()
        if self._runtimes.runtime is not None:
            self._runtimes.runtime.remake_files()
        if self._forwards is not None:
            await self._forwards.remake_files()
        if self._exposures is not None:
            await self._exposures.remake_files()
        if self._shows_state:
            self._state.rewrite()

    def give_way(self) -> None:
        """End, as another supervisor has this one's directory."""
        self._lifetime.end()

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


async def serve(
    paths: Paths, run: RunPaths, groups: Groups, inherited: socket.socket, housekeeping: Housekeeping
) -> None:
    """Run a supervisor to its end."""
    app, tasks = App(paths, run, groups), Tasks()
    tasks.start(housekeeping.run(app), "housekeeping")
    with contextlib.suppress(asyncio.CancelledError):
        await app.run(inherited)
    await tasks.end()
