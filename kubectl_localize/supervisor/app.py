"""The supervisor as commands see it: who asked for what, who holds it, when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from datetime import UTC, datetime
from typing import Any

from kubectl_localize import __version__
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths, write_atomic
from kubectl_localize.supervisor.control_server import Client, ControlServer
from kubectl_localize.supervisor.exposing.desk import Desk
from kubectl_localize.supervisor.forwarding.forward import rfc3339
from kubectl_localize.supervisor.forwarding.session import Session
from kubectl_localize.supervisor.order import PrivilegeRequest, StartRequest, describe, order_from_json
from kubectl_localize.supervisor.processes.process import Groups
from kubectl_localize.supervisor.requests import failed, understood, until_left
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
        self._groups = groups
        self._control = ControlServer(run.control, self._serve)
        self._state = StateFile(run.state, write_atomic)
        self._ending = asyncio.Event()
        self._session: Session | None = None
        self._desk = Desk(run, groups, self._control, self._ending, quit_if_free=self._end_if_free)
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
        self._run.state.unlink(missing_ok=True)
        self._control.broadcast("ended")
        await self._control.close()

    # -- commands -----------------------------------------------------------------------------------------------------
    async def _serve(self, client: Client) -> None:
        try:
            while request := await client.receive():
                match request.get("op"):
                    case "start" | "expose" if self._ending.is_set():
                        client.send("taken")  # by the end: whoever comes so late asks the next supervisor
                    case "start":
                        await self._start(client, request)
                    case "expose":
                        await self._expose(client, request)
                    case "unexpose":
                        client.send("accepted")
                        await self._desk.unexpose(client, request)
                    case "release":
                        await self._release(client)
                    case "stop":
                        client.send("accepted")
                        self._ending.set()
                    case _:
                        understood(request, _unknown)
        finally:
            await self._let_go(client)

    async def _release(self, client: Client) -> None:
        for failure in await self._let_go(client):
            client.fail(failure)
        client.send("released", ending=self._ending.is_set())

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

    async def _expose(self, client: Client, request: dict[str, Any]) -> None:
        if await self._desk.expose(client, request):
            self._ready = True
            self._write_state()
            client.send("exposed", document=self._document())

    async def _start(self, client: Client, request: dict[str, Any]) -> None:
        """Start what was asked for, or join it where it runs already; give up when the command lets go or is gone."""
        client.holds = True
        client.send("accepted")
        work = asyncio.create_task(self._start_or_join(client, request))
        await until_left(client, work, self._ending)
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
        if work.cancelled():
            await self._release(client)  # the request for it may have come where an answer from sudo was awaited
        elif failed(client, work):
            self._end_if_free()
        elif request.get("detach"):
            self._detached = True
            client.holds = False

    async def _start_or_join(self, client: Client, request: dict[str, Any]) -> None:
        order = understood(request, order_from_json)
        async with self._starting:
            if self._session is None:
                warnings = await self._open(client, order, bool(request.get("detach")))
            else:
                warnings = await self._join(client, self._session, order)
            self._ready = True
            self._write_state()
        for warning in warnings:
            client.send("warning", text=warning)
        client.send("ready", document=self._document())
        self._desk.restore(order.connection, say=self._say, warn=self._warn)

    async def _open(self, client: Client, order: StartRequest, detach: bool) -> list[str]:
        client.send("progress", text="listing Services")
        session = Session(
            order, self._paths, self._run, self._groups, say=self._say, warn=self._warn
        )  # fmt: skip
        self._session = session
        try:
            needs = await session.begin()
            await self._ask(client, needs)
            client.send("progress", text="opening forwards")
            return await session.open()
        except BaseException:
            await session.end()
            self._session = None
            raise

    async def _join(self, client: Client, session: Session, order: StartRequest) -> list[str]:
        if session.order != order:
            raise LocalizeError(
                f"context {order.connection.context} is being forwarded already by pid {os.getpid()},"
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
        client.send("need", hosts=needs.hosts, ports=list(needs.ports), addresses=needs.addresses)
        answer = await client.receive()
        if answer is None:
            raise LocalizeError("the command that started the supervisor is gone")

    def _say(self, text: str) -> None:
        log.info("%s", text)
        self._control.broadcast("change", text=text)

    def _warn(self, text: str) -> None:
        log.warning("%s", text)
        self._control.broadcast("warning", text=text)

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
            activity = self._activity()
            changed = activity[0] != seen[0]
            counted = activity[1] != seen[1] and tick % TICKS_BETWEEN_COUNTS == 0
            if changed or counted or self._state.problem:
                seen = activity
                self._write_state()

    def _write_state(self) -> None:
        before = self._state.problem
        self._state.put(self._document())
        if self._state.problem and not before:
            self._warn(self._state.problem)

    def _activity(self) -> tuple[int, int]:
        """Two numbers that grow with every change and with every byte."""
        forwards = self._session.activity() if self._session is not None else (0, 0)
        exposures = self._desk.activity
        return forwards[0] + exposures[0], forwards[1] + exposures[1]

    def _document(self) -> dict[str, Any]:
        """The `ls` document: forwards, exposures, or both."""
        about = {"pid": os.getpid(), "startedAt": rfc3339(self._since), "version": __version__}
        document = self._session.document(about) if self._session is not None else self._desk.document(about)
        return {**document, "items": [*document["items"], *self._desk.items()]}


def _unknown(request: dict[str, Any]) -> None:
    raise ValueError(f"no such request: {request.get('op')}")


async def serve(paths: Paths, run: RunPaths, groups: Groups, inherited: socket.socket) -> None:
    """Run a supervisor to its end."""
    app = App(paths, run, groups)
    with contextlib.suppress(asyncio.CancelledError):
        await app.run(inherited)
