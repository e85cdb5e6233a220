"""The supervisor as commands see it: who asked for what, who holds it, when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from dataclasses import replace
from datetime import UTC, datetime

from kubectl_localize import __version__
from kubectl_localize.cluster.selection import describe
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths, write_atomic
from kubectl_localize.ls_document import LsDocument, SupervisorItem, rfc3339
from kubectl_localize.protocol import (
    Accepted,
    Ended,
    Exposed,
    ExposeRequest,
    PrivilegesNeeded,
    Progress,
    Ready,
    Released,
    ReleaseRequest,
    Request,
    RestoreRequest,
    StartRequest,
    StopRequest,
    Taken,
    UnexposeRequest,
    Warn,
)
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.supervisor.exposing.desk import Desk
from kubectl_localize.supervisor.forwarding.helpers import PrivilegeRequest
from kubectl_localize.supervisor.forwarding.session import Session
from kubectl_localize.supervisor.processes.process import Groups
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.supervisor.requests import failed, until_left
from kubectl_localize.supervisor.runtime import RuntimeSource
from kubectl_localize.supervisor.state_file import StateFile

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
TICKS_BETWEEN_COUNTS = 4


class App:
    """One supervisor: a session, the commands that hold it, and the state file.

    Args:
        groups: what ends our children when this process is gone.
    """

    def __init__(self, paths: Paths, run: RunPaths, groups: Groups) -> None:
        self._paths = paths
        self._run = run
        self._control = ControlServer(run.control, self._serve)
        self._reporter = Reporter(self._control)
        self._state = StateFile(run.state, write_atomic)
        self._ending = asyncio.Event()
        self._session: Session | None = None
        self._runtime = RuntimeSource(run, groups)
        self._desk = Desk(run, self._runtime, self._control, self._ending, quit_if_free=self._end_if_free)
        self._ready = False
        self._detached = False
        self._starting = asyncio.Lock()
        self._since = datetime.now(UTC)

    async def run(self, inherited: socket.socket) -> None:
        """Serve until nobody holds the supervisor any more, then undo everything.

        Args:
            inherited: the starting command's connection.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._ending.set)
        await self._control.start()
        await self._control.adopt(inherited)
        ticking = asyncio.create_task(self._tick())
        await self._ending.wait()
        log.info("ending")
        self._control.stop_listening()
        async with self._starting:
            await self._desk.close()
            ticking.cancel()
            if self._session is not None:
                await self._session.end()
            await self._runtime.close()
        self._run.state.unlink(missing_ok=True)
        self._control.broadcast(Ended())
        await self._control.close()

    # -- commands -----------------------------------------------------------------------------------------------------
    async def _serve(self, client: Client) -> None:
        try:
            while (request := await client.receive()) is not None:
                await self._serve_request(client, request)
        finally:
            await self._let_go(client)

    async def _serve_request(self, client: Client, request: Request) -> None:
        match request:
            case StartRequest() | ExposeRequest() | RestoreRequest() if self._ending.is_set():
                client.send(Taken())  # a command that comes so late has to ask the next supervisor
            case StartRequest():
                await self._start(client, request)
            case ExposeRequest():
                await self._expose(client, request)
            case UnexposeRequest():
                client.send(Accepted())
                await self._desk.unexpose(client, request)
            case RestoreRequest():
                raise LocalizeError("this supervisor cannot restore yet")
            case ReleaseRequest():
                await self._release(client)
            case StopRequest():
                client.send(Accepted())
                self._ending.set()

    async def _release(self, client: Client) -> None:
        for failure in await self._let_go(client):
            client.fail(failure)
        client.send(Released(self._ending.is_set()))

    async def _let_go(self, client: Client) -> list[LocalizeError]:
        """Take back what this command holds; what could not be taken back."""
        failures = await self._desk.let_go(client)
        client.holds = False
        self._end_if_free()
        return failures

    def _end_if_free(self) -> None:
        held = any(client.holds for client in self._control.clients())
        if not self._detached and not held and not self._desk.busy:
            self._ending.set()

    async def _expose(self, client: Client, request: ExposeRequest) -> None:
        if await self._desk.expose(client, request):
            self._ready = True
            self._write_state()
            client.send(Exposed(self._document()))

    async def _start(self, client: Client, request: StartRequest) -> None:
        """Start what was asked for, or join it where it runs already; give up when the command lets go or is gone."""
        client.holds = True
        client.send(Accepted())
        work = asyncio.create_task(self._start_or_join(client, request))
        await until_left(client, work, self._ending)
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
        if work.cancelled():
            await self._release(client)  # the request for it may have come where an answer from sudo was awaited
        elif failed(client, work):
            self._end_if_free()
        elif request.detach:
            self._detached = True
            client.holds = False

    async def _start_or_join(self, client: Client, request: StartRequest) -> None:
        async with self._starting:
            if self._session is None:
                warnings = await self._open(client, request)
            else:
                warnings = await self._join(client, self._session, request)
            self._ready = True
            self._write_state()
        for warning in warnings:
            client.send(Warn(warning))
        client.send(Ready(self._document()))
        self._desk.restore(request.connection, say=self._reporter.change, warn=self._reporter.warn)

    async def _open(self, client: Client, request: StartRequest) -> list[str]:
        client.send(Progress("listing Services"))
        runtime = await self._runtime.get(request.connection)
        session = Session(request, runtime, self._paths, self._reporter)
        self._session = session
        try:
            needs = await session.begin()
            await self._ask(client, needs)
            client.send(Progress("opening forwards"))
            return await session.open()
        except BaseException:
            await session.end()
            self._session = None
            raise

    async def _join(self, client: Client, session: Session, request: StartRequest) -> list[str]:
        if replace(session.order, detach=False) != replace(request, detach=False):
            raise LocalizeError(
                f"context {request.connection.context} is being forwarded already by pid {os.getpid()},"
                f" with another selection or other options: by `{describe(session.order.selection)}`",
                "`kubectl localize stop` ends it, `kubectl localize ls` lists it",
            )
        needs = session.needs()
        if needs:
            await self._ask(client, needs)
            return await session.improve()
        return session.warnings()

    async def _ask(self, client: Client, needs: PrivilegeRequest) -> None:
        """Have the command, which has the terminal, start the privileged helper; it may fail, and we go on."""
        if not needs:
            return
        await client.ask(PrivilegesNeeded(0, needs.hosts, needs.ports, needs.addresses))

    # -- the state file -----------------------------------------------------------------------------------------------
    async def _tick(self) -> None:
        """Keep the state file true: changes at once, counters every other second, nothing while nothing happens."""
        seen, tick = (0, 0), 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            tick += 1
            if not self._ready:
                continue
            if self._session is not None:
                self._session.pool.sweep()
            activity = self._runtime.activity
            changed = activity[0] != seen[0]
            counted = activity[1] != seen[1] and tick % TICKS_BETWEEN_COUNTS == 0
            if changed or counted or self._state.problem:
                seen = activity
                self._write_state()

    def _write_state(self) -> None:
        before = self._state.problem
        self._state.put(self._document())
        if self._state.problem and not before:
            self._reporter.warn(self._state.problem)

    def _document(self) -> LsDocument:
        """What `ls` shows of this supervisor: forwards, exposures, or both."""
        own = SupervisorItem(self._desk.context, os.getpid(), rfc3339(self._since), __version__)
        if self._session is None:
            return LsDocument((own,), tuple(self._desk.items()))
        return LsDocument((self._session.supervisor_item(own),), (*self._session.items(), *self._desk.items()))


async def serve(paths: Paths, run: RunPaths, groups: Groups, inherited: socket.socket) -> None:
    """Run a supervisor to its end."""
    app = App(paths, run, groups)
    with contextlib.suppress(asyncio.CancelledError):
        await app.run(inherited)
