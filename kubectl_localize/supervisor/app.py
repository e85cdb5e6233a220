"""The supervisor as commands see it: who asked for what, who holds it, when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, RunPaths, write_atomic
from kubectl_localize.model import Connection, HostsState, ServiceKey
from kubectl_localize.supervisor.children.process import Groups
from kubectl_localize.supervisor.control import Client, ControlServer
from kubectl_localize.supervisor.exposing import order as exposing_order
from kubectl_localize.supervisor.exposing.exposure import Exposure
from kubectl_localize.supervisor.exposing.exposures import Exposures, Listener
from kubectl_localize.supervisor.exposing.order import ExposeOrder
from kubectl_localize.supervisor.exposing.record import record_path
from kubectl_localize.supervisor.forward import rfc3339
from kubectl_localize.supervisor.order import Needs, Order, order_from_json
from kubectl_localize.supervisor.session import Session
from kubectl_localize.supervisor.statefile import StateFile

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
        self._session: Session | None = None
        self._exposures: Exposures | None = None
        self._restoring: asyncio.Task[None] | None = None
        self._ready = False
        self._detached = False
        self._ending = asyncio.Event()
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
        ticking.cancel()
        self._control.stop_listening()
        async with self._starting:
            await self._end_exposures()
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
                    case "start":
                        await self._start(client, request)
                    case "expose":
                        await self._expose(client, request)
                    case "unexpose":
                        await self._unexpose(client, request)
                    case "release":
                        await self._release(client)
                    case "stop":
                        self._ending.set()
                    case other:
                        raise LocalizeError(f"no such request: {other}")
        finally:
            await self._let_go(client)

    async def _release(self, client: Client) -> None:
        for failure in await self._let_go(client):
            client.fail(failure)
        client.send("released", ending=self._ending.is_set())

    async def _let_go(self, client: Client) -> list[LocalizeError]:
        """Take back what this command holds; what could not be taken back."""
        failures: list[LocalizeError] = []
        if self._exposures is not None:
            failures = await self._exposures.end(self._exposures.of(client), _teller(client))
        client.holds = False
        self._end_if_free()
        return failures

    def _end_if_free(self) -> None:
        held = any(client.holds for client in self._control.clients())
        if not self._detached and not held and not (self._exposures is not None and self._exposures.live):
            self._ending.set()

    async def _start(self, client: Client, request: dict[str, Any]) -> None:
        """Start what was asked for, or join it where it runs already; give up when the command lets go or is gone."""
        client.holds = True
        client.send("accepted")
        work = asyncio.create_task(self._start_or_join(client, request))
        await self._until_left(client, work)
        if not work.done():
            work.cancel()
            await asyncio.wait((work,))
        if work.cancelled():
            await self._release(client)  # the request for it may have come where an answer from sudo was awaited
        elif self._failed(client, work):
            self._end_if_free()
        elif request.get("detach"):
            self._detached = True
            client.holds = False

    async def _until_left(self, client: Client, work: asyncio.Task[Any]) -> None:
        """Wait for the work, or until the command lets go or is gone, or the supervisor ends."""
        leaving = asyncio.create_task(client.leaving.wait())
        end = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait((work, leaving, end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            end.cancel()

    def _failed(self, client: Client, work: asyncio.Task[Any]) -> bool:
        """Whether the work has failed; the command is told why, and holds nothing any more."""
        failure = work.exception()
        if failure is None:
            return False
        if not isinstance(failure, LocalizeError):
            log.error("a command", exc_info=failure)
            failure = LocalizeError(f"internal error: {failure}", "`kubectl localize logs` says more; please report it")
        client.fail(failure)
        client.holds = False
        return True

    async def _start_or_join(self, client: Client, request: dict[str, Any]) -> None:
        order = order_from_json(request)
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
        if self._restoring is None and record_path(self._run).exists():
            self._restoring = asyncio.create_task(self._restore(order.connection))

    async def _open(self, client: Client, order: Order, detach: bool) -> list[str]:
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

    async def _join(self, client: Client, session: Session, order: Order) -> list[str]:
        if session.order != order:
            raise LocalizeError(
                f"context {order.connection.context} is being forwarded already by pid {os.getpid()},"
                " with another selection or other options",
                "`kubectl localize stop` ends it, `kubectl localize ls` lists it",
            )
        needs = session.needs()
        if needs:
            await self._ask(client, needs)
            return await session.improve()
        return session.warnings()

    async def _ask(self, client: Client, needs: Needs) -> None:
        """Have the command, which has the terminal, start the privileged helper; it may fail, and we go on."""
        if not needs:
            return
        client.send("need", hosts=needs.hosts, ports=list(needs.ports))
        answer = await client.receive()
        if answer is None:
            raise LocalizeError("the command that started the supervisor is gone")

    # -- exposures ----------------------------------------------------------------------------------------------------
    async def _expose(self, client: Client, request: dict[str, Any]) -> None:
        """Begin exposures; take back what there is of them when the command lets go, is gone, or it fails."""
        client.holds = True
        client.send("accepted")
        order, connection = exposing_order.from_json(request)
        work = asyncio.create_task(self._begin_exposures(client, order, connection))
        await self._until_left(client, work)
        if not work.done():
            assert self._exposures is not None
            if not await self._exposures.end(self._exposures.of(client), _teller(client)) and not work.done():
                work.cancel()  # it is still at its checks, which change nothing
            await asyncio.wait((work,))
            await self._release(client)
        elif self._failed(client, work):
            self._end_if_free()
        elif order.dry_run:
            client.holds = False
            client.send("plan", lines=work.result())
            self._end_if_free()
        else:
            if request.get("detach") and self._exposures is not None:
                self._exposures.keep(client)
                client.holds = False
            self._ready = True
            self._write_state()
            client.send("exposed", document=self._document())

    async def _begin_exposures(self, client: Client, order: ExposeOrder, connection: Connection) -> list[str]:
        exposures = self._reach(connection)

        async def run(variables: list[tuple[str, str]]) -> None:
            client.send("run", variables=variables)
            if await client.receive() is None:
                raise LocalizeError("the command that started the exposure is gone")

        listener = Listener(_teller(client), self._warn_one(client), run if order.command else None)
        return await exposures.expose(order, client, listener)

    async def _unexpose(self, client: Client, request: dict[str, Any]) -> None:
        """End the exposures of some Services; the command hears when their workloads are back."""
        keys = [ServiceKey(**key) for key in request["services"]]
        found = self._exposures.of_services(keys) if self._exposures is not None else []
        missing = [key for key in keys if not any(key in one.plan.services for one in found)]
        if missing:
            raise LocalizeError(
                f"{missing[0]} is not exposed from here",
                "`kubectl localize ls` lists what is",
            )
        assert self._exposures is not None
        failures = await self._exposures.end(found, _teller(client))
        if failures:
            raise failures[0]
        self._end_if_free()
        client.send("restored", ending=self._ending.is_set())

    def _reach(self, connection: Connection) -> Exposures:
        """What exposures reach the cluster by, which all orders of this supervisor share."""
        if self._exposures is None:
            self._exposures = Exposures(connection, self._run, self._groups, over=self._exposure_is_over)
        if replace(self._exposures.connection, namespace="") != replace(connection, namespace=""):
            raise LocalizeError(
                f"context {connection.context} is in use already by pid {os.getpid()} as another user or cluster",
                "`kubectl localize stop` ends that, `kubectl localize ls` lists it",
            )
        return self._exposures

    def _exposure_is_over(self, exposure: Exposure) -> None:
        names = ", ".join(str(key) for key in exposure.plan.services)
        failure = exposure.failure
        if failure is not None and exposure.exposed.is_set():
            self._control.broadcast("over", services=names, message=failure.message, hint=failure.hint)
        log.info("exposure of %s is over: %s", names, failure or "as asked")
        self._end_if_free()

    async def _end_exposures(self) -> None:
        if self._restoring is not None:
            self._restoring.cancel()
            await asyncio.wait((self._restoring,))
        if self._exposures is not None:
            failures = await self._exposures.close(lambda text: self._control.broadcast("step", text=text))
            for failure in failures:
                self._control.broadcast("error", message=failure.message, hint=failure.hint)

    def _warn_one(self, client: Client) -> Callable[[str], None]:
        def warn(text: str) -> None:
            log.warning("%s", text)
            client.send("warning", text=text)

        return warn

    async def _restore(self, connection: Connection) -> None:
        """Undo what a crashed run of this context left in the cluster; nobody waits for it."""
        try:
            await self._reach(connection).restore(self._say)
        except LocalizeError as error:
            self._warn(f"{error.message}; {error.hint}" if error.hint else error.message)

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
        parts = [
            *([self._session.activity()] if self._session is not None else []),
            *([self._exposures.activity] if self._exposures is not None else []),
        ]
        return sum(part[0] for part in parts), sum(part[1] for part in parts)

    def _document(self) -> dict[str, Any]:
        """The `ls` document: forwards, exposures, or both."""
        about = {"pid": os.getpid(), "startedAt": rfc3339(self._since), "version": version("kubectl-localize")}
        if self._session is not None:
            document = self._session.document(about)
        else:
            assert self._exposures is not None
            supervisor = {
                "context": self._exposures.connection.context, **about, "hosts": HostsState.OFF, "children": 0,
                "warnings": [],
            }  # fmt: skip
            document = {"apiVersion": "localize/v1", "kind": "List", "supervisors": [supervisor], "items": []}
        exposed = self._exposures.items() if self._exposures is not None else []
        return {**document, "items": [*document["items"], *exposed]}


def _teller(client: Client) -> Callable[[str], None]:
    """Tells a command each step as it is done."""

    def tell(text: str) -> None:
        log.info("%s", text)
        client.send("step", text=text)

    return tell


async def serve(paths: Paths, run: RunPaths, groups: Groups, inherited: socket.socket) -> None:
    """Run a supervisor to its end."""
    app = App(paths, run, groups)
    with contextlib.suppress(asyncio.CancelledError):
        await app.run(inherited)
