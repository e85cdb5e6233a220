"""One `kubectl port-forward` of one port of one pod: its process and its state."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import ForbiddenError, KubectlError, UnauthorizedError
from kubectl_localize.host.system import this_system
from kubectl_localize.supervisor.processes.lifecycle import (
    Action,
    Answered,
    ChildState,
    Drained,
    Event,
    Exited,
    Phase,
    Ready,
    Retire,
    RetryDue,
    Wanted,
    transition,
)
from kubectl_localize.supervisor.processes.process import Process

log = logging.getLogger(__name__)

FIRST_LOOK_SECONDS = 1.0  # the last answers of a pod that has just gone are still on their way
LONGEST_LOOK_SECONDS = 60.0  # it may have lost its labels only
FAILING_SECONDS = 1.0  # kubectl 1.23 and later end by themselves after a failed dial, well within this


@dataclass(frozen=True, order=True)
class Target:
    """What a child leads to: a port number of a pod."""

    namespace: str
    pod: str
    port: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}:{self.port}"


class Start(Protocol):
    """Starts the kubectl for a target; stderr's lines go to the callback."""

    def __call__(self, target: Target, on_error_line: Callable[[str], None]) -> Awaitable[Process]: ...


class Child:
    """Carries connections to one pod's port; knows which of them could not be delivered.

    Args:
        start: spawns the process.
        clock: seconds, monotonic.
        changed: called after every change of state.
    """

    def __init__(
        self,
        target: Target,
        *,
        start: Start,
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        self.target = target
        self.state = ChildState()
        self.host = "127.0.0.1"
        self.port = 0
        self.pid = 0
        self.restarts = 0
        self.idle_since = clock()
        self._start = start
        self._clock = clock
        self._changed = changed
        self._system = this_system()
        self._life: asyncio.Task[None] | None = None
        self._process: Process | None = None
        self._connections: set[object] = set()
        self._unanswered: dict[object, None] = {}
        self._stalled: dict[object, float] = {}
        self._dial_failures = 0
        self._refusal = ""
        self._failing = False
        self._told_to_end = False
        self._ending: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    # -- what the pool asks and tells ---------------------------------------------------------------------------------
    @property
    def phase(self) -> Phase:
        """Its phase; one that has just reported a failed dial counts as failed: kubectl ends by itself then."""
        if self._failing and self.state.phase is Phase.RUNNING:
            return Phase.BACKOFF
        return self.state.phase

    @property
    def connections(self) -> int:
        """How many connections it carries."""
        return len(self._connections)

    @property
    def lost(self) -> bool:
        """Whether its process is ending or has ended by itself, so that its connections were cut."""
        return self._failing or (not self._told_to_end and (not self.pid or self._system.is_ending(self.pid)))

    def stalled_seconds(self) -> float:
        """For how long a client of it has not read what came for it; that holds up all its other connections."""
        return self._clock() - min(self._stalled.values(), default=self._clock())

    def want(self) -> None:
        """A connection wants it: start it if it is idle."""
        self._apply(Wanted())

    def shun_if_lost(self) -> None:
        """Send no new connection to a process that is ending, though the loop has not been told yet."""
        self._failing = self._failing or self.lost

    def unusable(self) -> None:
        """Its port does not accept: whatever the process still is, no new connection is sent there."""
        self._failing = True
        self.retire()

    def retire(self) -> None:
        """No new connection; it ends when the last one has."""
        self._apply(Retire(len(self._connections)))

    def end_with_pod(self, exists: Callable[[Target], Awaitable[bool]]) -> None:
        """End it as soon as its pod is gone, which kubectl does not notice.

        What the pod took and could not end any more would hang for ever. Args: exists: asks the cluster.
        """
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._end_with_pod(exists))

    async def _end_with_pod(self, exists: Callable[[Target], Awaitable[bool]]) -> None:
        pause = FIRST_LOOK_SECONDS
        while self.state.phase is Phase.DRAINING:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_SECONDS)
            if self.state.phase is Phase.DRAINING and not await exists(self.target):
                self._failing = True  # so that nobody takes the end of a connection for an orderly one
                await self.end()

    async def end(self) -> None:
        """End it now, with whatever it carries."""
        life = self._life
        if life is None or life.done():
            return
        if self._process is None:  # not even spawned yet
            life.cancel()
        else:
            self._told_to_end = not (self.pid and self._system.is_ending(self.pid))
            await self._process.stop()
        await asyncio.wait((life,))
        if life.cancelled():
            self._apply(Exited("ended"))

    # -- what a relay tells -------------------------------------------------------------------------------------------
    def attach(self, connection: object) -> None:
        """A connection is about to be opened through it."""
        self._connections.add(connection)

    def opened(self, connection: object) -> None:
        """Its port has accepted a connection."""
        self._unanswered[connection] = None

    def answered(self, connection: object) -> None:
        """The first byte came back for a connection."""
        self._unanswered.pop(connection, None)
        if self.state.failures:
            self._apply(Answered())

    def stall(self, connection: object, stalled: bool) -> None:
        """A connection's client has stopped reading, or reads again."""
        if stalled:
            self._stalled.setdefault(connection, self._clock())
        else:
            self._stalled.pop(connection, None)

    def detach(self, connection: object) -> None:
        """A connection has ended."""
        self._connections.discard(connection)
        self._stalled.pop(connection, None)
        if not self._failing:
            self._unanswered.pop(connection, None)
        if not self._connections:
            self.idle_since = self._clock()
            self._apply(Drained())

    async def was_refused(self, connection: object, patience_seconds: float) -> bool:
        """Whether kubectl says that the pod could not be dialled for this connection, on which nothing came back.

        kubectl does not say which connection it means, and ends all of them and itself. The pod was there for those
        that came first, so as many of the youngest as there are failures are taken for the refused ones.
        """
        deadline = self._clock() + patience_seconds
        while self.state.phase in (Phase.RUNNING, Phase.DRAINING) and self._life is not None:
            left = deadline - self._clock()
            if left <= 0:
                break
            await asyncio.wait((self._life,), timeout=min(left, 0.02))
        youngest = list(self._unanswered)[-self._dial_failures :] if self._dial_failures else []
        return connection in youngest

    # -- its process --------------------------------------------------------------------------------------------------
    def _apply(self, event: Event) -> None:
        before = self.state
        self.state, actions = transition(before, event, self._clock())
        for action in actions:
            self._act(action)
        if self.state.phase is not before.phase:
            log.info("child %s: %s -> %s %s", self.target, before.phase, self.state.phase, self.state.reason)
            self._changed()

    def _act(self, action: Action) -> None:
        if action is Action.SPAWN:
            self._failing, self._dial_failures, self._refusal = False, 0, ""
            self._told_to_end = False
            self._unanswered.clear()
            self._life = asyncio.create_task(self._live())
        elif action is Action.TERMINATE:
            # keeps a reference until it is done: the loop itself holds tasks only weakly
            self._ending = asyncio.create_task(self.end())
        else:
            delay = max(0.0, self.state.retry_at - self._clock()) + 0.001
            asyncio.get_running_loop().call_later(delay, self._apply, RetryDue())

    async def _live(self) -> None:
        try:
            process = self._process = await self._start(self.target, self._hear)
        except (OSError, KubectlError) as error:
            self._apply(Exited(str(error), luck=random.random()))
            return
        self.pid = process.pid
        while line := await process.stdout.readline():
            port = kubectl.forwarding_port(line.decode(errors="replace"))
            if port is not None:
                self.port = port
                self.idle_since = self._clock()
                self._apply(Ready())
        code = await process.wait()
        self.pid, self._process = 0, None
        if self.state.phase in (Phase.STARTING, Phase.RUNNING):
            self.restarts += 1
        cause = kubectl.explain(process.tail, code)
        lasting = isinstance(cause, (ForbiddenError, UnauthorizedError))
        reason, refused = self._refusal or cause.message, self._dial_failures > 0
        self._apply(Exited(reason, lasting=lasting, refused=refused, luck=random.random()))

    def _hear(self, line: str) -> None:
        if kubectl.is_fatal(line):
            self._failing = True
            self._dial_failures += kubectl.is_dial_failure(line)
            self._refusal = kubectl.brief(line)
            self._changed()
            asyncio.get_running_loop().call_later(FAILING_SECONDS, self._still_failing)

    def _still_failing(self) -> None:
        """Several failures at once may wedge kubectl: it neither ends nor carries a byte, and says nothing any more."""
        if self._failing and self.state.phase in (Phase.RUNNING, Phase.DRAINING):
            self._ending = asyncio.create_task(self.end())
