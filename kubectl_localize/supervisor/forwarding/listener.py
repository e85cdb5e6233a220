"""A bound socket of ours and the connections it accepts: where each goes, how long it waits, when it is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass

from kubectl_localize.model import Endpoint, Status
from kubectl_localize.supervisor.probe import ApiServerProbe
from kubectl_localize.supervisor.processes.child import Child
from kubectl_localize.supervisor.processes.lifecycle import Phase
from kubectl_localize.supervisor.processes.pool import Pool
from kubectl_localize.supervisor.processes.port_forward import Target
from kubectl_localize.supervisor.traffic.balancing import Candidate, choose
from kubectl_localize.supervisor.traffic.relay import ClientSide, Outcome, ReadBuffer, Relay, Traffic
from kubectl_localize.timing import Notifier

log = logging.getLogger(__name__)

BACKLOG = 4096
VERDICT_SECONDS = 0.3  # kubectl says why it closes a connection just before it does
REFUSED_SECONDS = 1.0  # how long a connection that every Ready pod refuses waits for another pod
SLOW_START_SECONDS = 3.0  # a child that has not started by then may never: its pod's node may be dead
DISCARD_SECONDS = 15.0
REPEATS = 3


@dataclass(frozen=True)
class Surroundings:
    """What all listeners share.

    Args:
        clock: seconds, monotonic.
        objection: why the other end of an accepted connection is not served; empty where it is.
    """

    pool: Pool
    link: ApiServerProbe
    changed: Notifier
    clock: Callable[[], float]
    objection: Callable[[socket.socket], str]
    wait_timeout_seconds: float
    buffer: ReadBuffer


class RefusedError(Exception):
    """A connection is given up; its text says why."""


class Listener:
    """Serves one address and port with the Ready pods it is told of.

    Args:
        namespace: the pods' namespace.
    """

    def __init__(self, around: Surroundings, namespace: str) -> None:
        self._around = around
        self._namespace = namespace
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = 0
        self._last_failure = ""
        self.endpoints: tuple[Endpoint, ...] = ()
        self.traffic = Traffic()
        self.local_port = 0
        self.problem = ""

    async def listen(self, bound: socket.socket) -> None:
        """Accept on a bound socket, from now on in the place of an earlier one; what is open there stays open.

        Raises: OSError where it cannot be listened on: two may bind the same port, and the second one's listen fails.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accept, sock=bound, backlog=BACKLOG)
        if self._server is not None:
            self._server.close()
        self._server = server
        self.local_port = bound.getsockname()[1]

    def set_endpoints(self, endpoints: tuple[Endpoint, ...]) -> None:
        """The Ready pods from now on; connections that wait look again."""
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            self._around.changed.fire()

    async def close(self) -> None:
        """Stop listening and reset what is open."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def listening(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None

    def children(self) -> list[Child]:
        """The children that its new connections use."""
        found = (self._around.pool.peek(self._target(endpoint)) for endpoint in self.endpoints)
        return [child for child in found if child is not None]

    def status(self) -> tuple[Status, str]:
        """What `ls` shows: a status and its reason."""
        if self.problem:
            return Status.BACKOFF, self.problem
        if not self._around.link.up:
            return Status.WAITING, "the API server does not answer"
        if not self.endpoints:
            return Status.WAITING, "no Ready pod"
        children = self.children()
        if any(child.phase in (Phase.STARTING, Phase.RUNNING) for child in children):
            return Status.ACTIVE, ""
        failed = [child for child in children if child.phase in (Phase.BACKOFF, Phase.FAILED)]
        if failed:
            return Status.BACKOFF, failed[0].state.reason
        return Status.IDLE, ""

    # -- one connection -----------------------------------------------------------------------------------------------
    def _accept(self) -> ClientSide:
        relay = Relay(self._around.buffer, self.traffic)

        def begin(client: ClientSide) -> None:
            if self._server is None:  # it was in the kernel's queue when the listener was closed
                relay.reset()
                return
            task = asyncio.get_running_loop().create_task(self._serve(relay, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return ClientSide(relay, self._around.buffer, begin)

    async def _serve(self, relay: Relay, client: ClientSide) -> None:
        self.traffic.open += 1
        self.traffic.total += 1
        try:
            assert client.transport is not None
            if objection := self._around.objection(client.transport.get_extra_info("socket")):
                raise RefusedError(objection)
            if await self._relay(relay):
                await relay.finish()
            else:
                relay.reset()
        except RefusedError as refusal:
            log.info("a connection to port %d was reset: %s", self.local_port, refusal)
            relay.reset()
        except asyncio.CancelledError:
            relay.reset()
        except Exception:  # a client must not be left hanging, whatever went wrong here
            log.exception("a connection to port %d", self.local_port)
            relay.reset()
        finally:
            self.traffic.open -= 1

    async def _relay(self, relay: Relay) -> bool:
        """Take the connection through, by another pod where one refuses; whether it ended in good order."""
        began = self._around.clock()
        refused: set[Endpoint] = set()
        repeats = 0
        while not relay.client_is_gone:
            child, endpoint = await self._pick(relay, refused, began)
            if child is None or endpoint is None:
                return False
            outcome = await self._through(relay, child)
            if outcome is None:
                continue
            child.shun_if_lost()
            if outcome is Outcome.DONE or relay.client_is_gone:
                return not child.lost
            if await child.was_refused(relay, VERDICT_SECONDS):
                refused.add(endpoint)
            elif relay.may_be_repeated and repeats < REPEATS and (child.lost or endpoint not in self.endpoints):
                repeats += 1  # the pod or the child went, and it is a request that does no harm a second time
            elif not (child.lost and relay.delivered_nothing):
                return not child.lost
            if not relay.may_be_tried_again:
                return False
            log.info("a connection that %s did not take is tried again", child.target)
        return False

    async def _through(self, relay: Relay, child: Child) -> Outcome | None:
        """Relay through a child; None where its port did not accept, since it has just ended."""
        running = asyncio.create_task(relay.through(child))
        gone = asyncio.create_task(relay.closed.wait())
        try:
            await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await asyncio.wait((running,), timeout=DISCARD_SECONDS)
            if not running.done():
                self._around.pool.replace(child)
                return Outcome.DONE
            return running.result()
        except OSError:
            child.unusable()
            return None
        finally:
            gone.cancel()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await running

    async def _pick(self, relay: Relay, refused: set[Endpoint], began: float) -> tuple[Child | None, Endpoint | None]:
        """Wait for a pod and its child; Nones where the client has gone meanwhile.

        Args:
            refused: the endpoints that did not take this connection.
            began: when it was accepted.

        Raises: RefusedError when the time is up.
        """
        self._turn += 1
        waited = False
        while not relay.client_is_gone:
            refused &= set(self.endpoints)
            slow = self._around.clock() - began >= SLOW_START_SECONDS
            child, endpoint = self._look(refused, spread=not waited, impatient=slow)
            waited = True
            if child is not None:
                return child, endpoint
            now = self._around.clock()
            limit = self._around.wait_timeout_seconds
            until = began + (min(REFUSED_SECONDS, limit) if self._is_hopeless(refused) else limit)
            if now >= until:
                raise RefusedError(self.status()[1] or "every Ready pod refuses it")
            await self._wait(relay, min(until - now, SLOW_START_SECONDS))
        return None, None

    def _is_hopeless(self, refused: set[Endpoint]) -> bool:
        """Whether there are pods, and none of them will take the connection."""
        failed = {child.target for child in self.children() if child.phase is Phase.FAILED}
        lost = [endpoint in refused or self._target(endpoint) in failed for endpoint in self.endpoints]
        return self._around.link.up and bool(lost) and all(lost)

    def _look(self, refused: set[Endpoint], *, spread: bool, impatient: bool) -> tuple[Child | None, Endpoint | None]:
        pool = self._around.pool
        if not self._around.link.up:
            return None, None
        candidates = []
        for endpoint in self.endpoints:
            child = pool.get(self._target(endpoint))
            phase, connections = (child.phase, child.connections) if child is not None else (Phase.IDLE, 0)
            candidates.append(Candidate(endpoint, phase, connections, endpoint in refused))
        choice = choose(candidates, self._turn, spread=spread, impatient=impatient)
        if choice.start is not None and (choice.use is None or pool.has_room):
            pool.want(self._target(choice.start))
        return (pool.get(self._target(choice.use)), choice.use) if choice.use is not None else (None, None)

    async def _wait(self, relay: Relay, seconds: float) -> None:
        change = self._around.changed.next()  # at once: a task would begin to wait only after what is next in line
        gone = asyncio.create_task(relay.closed.wait())
        try:
            await asyncio.wait((change, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()
            gone.cancel()

    def _target(self, endpoint: Endpoint) -> Target:
        return Target(self._namespace, endpoint.pod, endpoint.port)
