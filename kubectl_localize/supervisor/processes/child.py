"""One `kubectl port-forward` of one port of one pod, as connections use it: its process, its state, its connections."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Protocol

from kubectl_localize.cluster import kubectl
from kubectl_localize.errors import ConfigurationError, ForbiddenError, KubectlError, UnauthorizedError
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
from kubectl_localize.supervisor.processes.liveness import Carried, LivenessCheck, still_carries
from kubectl_localize.supervisor.processes.port_forward import PortForward, PortForwarder, Target
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Backoff, Notifier, first_of

log = logging.getLogger(__name__)

# Whether a pod is gone: the last answers of one that has just gone are on their way; it may have lost its labels only.
POD_LOOKS = Backoff(first_seconds=1.0, longest_seconds=60.0)
FAILING_SECONDS = 1.0  # kubectl 1.23 and later end by themselves after a failed dial, well within this
VERDICT_POLL_SECONDS = 0.02
LOOK_SECONDS = 0.5
WRITING_FAILURES = 2


class Pods(Protocol):
    """Knows the cluster's pods."""

    async def pod_exists(self, namespace: str, pod: str) -> bool:
        """Whether a pod is there; true also if the cluster does not answer."""


class Child:
    """Carries connections to one pod's port; knows which of them could not be delivered.

    Args:
        target: the pod and its port.
        forwarder: starts the process.
        clock: seconds, monotonic.
        changed: fired after every change of state.

    Attributes:
        state: where it is in its life, since how many failures, and why.
        host: where it listens, like `port`, which is 0 before it has listened for the first time.
        pid: its process; 0 while it has none.
        restarts: how often it has ended without being told to.
        idle_since: when its last connection ended, by the clock.
    """

    def __init__(
        self,
        target: Target,
        *,
        forwarder: PortForwarder,
        clock: Callable[[], float],
        changed: Notifier,
    ) -> None:
        self.target = target
        self.state = ChildState()
        self.host = PortForward.host
        self.port = 0
        self.pid = 0
        self.restarts = 0
        self.idle_since = clock()
        self._forwarder = forwarder
        self._clock = clock
        self._changed = changed
        self._system = this_system()
        self._tasks = Tasks()
        self._life: asyncio.Task[None] | None = None
        self._forward: PortForward | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._wedged: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None
        self._connections: set[Carried] = set()
        self._unanswered: dict[Carried, float] = {}  # when each was opened, the oldest first
        self._stalled: dict[Carried, float] = {}
        self._liveness = LivenessCheck()
        self._next_look: asyncio.TimerHandle | None = None
        self._dial_failures = 0
        self._refusal = ""
        self._failing = False
        self._told_to_end = False

    # -- what the pool asks and tells ---------------------------------------------------------------------------------
    @property
    def phase(self) -> Phase:
        """Its phase. After kubectl has reported a failed dial it counts as failed, since kubectl is about to end."""
        if self._failing and self.state.phase is Phase.RUNNING:
            return Phase.BACKOFF
        return self.state.phase

    @property
    def reason(self) -> str:
        """Why it has failed; empty if it has not."""
        if self._failing and self.state.phase is Phase.RUNNING:
            return self._refusal or "kubectl port-forward is ending"
        return self.state.reason

    @property
    def connections(self) -> int:
        """How many connections it carries."""
        return len(self._connections)

    @property
    def lost(self) -> bool:
        """Whether its process is ending or has ended by itself, so that its connections were cut."""
        return self._failing or (not self._told_to_end and (not self.pid or self._system.is_ending(self.pid)))

    def stalled_seconds(self) -> float:
        """For how long a client has not read what came for it; it stalls all other connections of the child."""
        return self._clock() - min(self._stalled.values(), default=self._clock())

    def want(self) -> None:
        """Start it for a connection, if it is idle."""
        self._apply(Wanted())

    def shun_if_lost(self) -> None:
        """Send no new connection to a process that is ending, though the loop has not been told yet."""
        self._failing = self._failing or self.lost

    def unusable(self) -> None:
        """Send no new connection to its port, which does not accept any, whatever the process still is."""
        self._failing = True
        self.retire()

    def retire(self) -> None:
        """Take no new connection, and end with the last one."""
        self._apply(Retire(len(self._connections)))

    def end_with_pod(self, pods: Pods) -> None:
        """End it as soon as its pod is gone, which kubectl does not notice.

        A connection that the pod took and could not end any more would hang for ever.
        """
        if self._watching is None or self._watching.done():
            self._watching = self._tasks.start(self._end_with_pod(pods), f"watching the pod of {self.target}")

    async def _end_with_pod(self, pods: Pods) -> None:
        looks = 0
        while self.state.phase is Phase.DRAINING:
            looks += 1
            await asyncio.sleep(POD_LOOKS.seconds(looks))
            exists = await pods.pod_exists(self.target.namespace, self.target.pod)
            if self.state.phase is Phase.DRAINING and not exists:
                self._failing = True  # so that nobody takes the end of a connection for an orderly one
                await self.end()

    async def end(self) -> None:
        """End its process now, with all connections that it carries; it may be started again."""
        life = self._life
        if life is None or life.done():
            return
        if self._forward is None:  # not even spawned yet
            life.cancel()
        else:
            self._told_to_end = not (self.pid and self._system.is_ending(self.pid))
            await self._forward.stop()
        await first_of(life, owned=False)
        if life.cancelled():
            self._apply(Exited("ended"))

    async def close(self) -> None:
        """End it for good, with all that it has begun."""
        try:
            await self.end()
        finally:
            await self._tasks.end()
            self._cancel_timers()

    # -- what a relay tells -------------------------------------------------------------------------------------------
    def attach(self, connection: Carried) -> None:
        """Count a connection that is about to be opened through it."""
        self._connections.add(connection)

    def opened(self, connection: Carried) -> None:
        """Note that its port has accepted a connection."""
        self._unanswered[connection] = self._clock()
        self._look_later()

    def answered(self, connection: Carried) -> None:
        """Note that the first byte came back for a connection."""
        self._unanswered.pop(connection, None)
        self._liveness.heard(self._clock())
        if self.state.failures:
            self._apply(Answered())

    def stall(self, connection: Carried, stalled: bool) -> None:
        """Note that a connection's client has stopped reading, or reads again."""
        if stalled:
            self._stalled.setdefault(connection, self._clock())
        else:
            self._stalled.pop(connection, None)

    def detach(self, connection: Carried) -> None:
        """Forget a connection that has ended."""
        self._connections.discard(connection)
        self._stalled.pop(connection, None)
        if not self._failing:
            self._unanswered.pop(connection, None)
        if not self._connections:
            self.idle_since = self._clock()
            self._apply(Drained())

    async def was_refused(self, connection: Carried, timeout_seconds: float) -> bool:
        """Wait for what kubectl says about a connection on which nothing came back.

        kubectl does not say which connection failed, and ends all of them and itself. The oldest connections did reach
        the pod, so if it reports N failures, the N youngest connections count as refused.

        Returns:
            Whether kubectl could not reach the pod for this connection, so that it may go to another pod.
        """
        deadline = self._clock() + timeout_seconds
        while self.state.phase in (Phase.RUNNING, Phase.DRAINING) and self._life is not None:
            left = deadline - self._clock()
            if left <= 0:
                break
            await first_of(self._life, timeout_seconds=min(left, VERDICT_POLL_SECONDS), owned=False)
        youngest = list(self._unanswered)[-self._dial_failures :] if self._dial_failures else []
        return connection in youngest

    # -- whether it still carries anything ----------------------------------------------------------------------------
    def _look_later(self) -> None:
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Check whether the way to the pod still carries anything, if a connection has waited suspiciously long."""
        self._next_look = None
        if self.state.phase is not Phase.RUNNING or self._failing:
            return
        if self._liveness.is_due(self._unanswered.values(), self._clock()):
            self._tasks.start(self._check(), f"checking child {self.target}")
        elif self._liveness.may_become_due(self._unanswered.values()):
            self._look_later()

    async def _check(self) -> None:
        """Replace it if its connection to the API server is dead without a sign, as if one of several were frozen."""
        self._liveness.checked(self._clock())
        carries = await still_carries(self.host, self.port)
        if carries:
            self._liveness.heard(self._clock())
            self._look_later()
        elif self.state.phase is Phase.RUNNING and not self._failing:
            log.warning("child %s carries nothing any more; new connections get another one", self.target)
            self._failing, self._refusal = True, "the connection to the API server carries nothing any more"
            for connection in self._liveness.stuck(self._unanswered):
                connection.abandon()
            self.retire()
            self._changed.fire()

    # -- its process --------------------------------------------------------------------------------------------------
    def _apply(self, event: Event) -> None:
        before = self.state
        self.state, actions = transition(before, event, self._clock())
        if self.state.phase not in (Phase.BACKOFF, Phase.FAILED) and self._retry is not None:
            self._retry.cancel()
        for action in actions:
            self._act(action)
        if self.state.phase is not before.phase:
            log.info("child %s: %s -> %s %s", self.target, before.phase, self.state.phase, self.state.reason)
            self._changed.fire()

    def _act(self, action: Action) -> None:
        if action is Action.SPAWN:
            self._failing, self._dial_failures, self._refusal = False, 0, ""
            self._told_to_end = False
            self._unanswered.clear()
            self._life = self._tasks.start(self._live(), f"child {self.target}")
        elif action is Action.TERMINATE:
            self._tasks.start(self.end(), f"ending child {self.target}")
        else:
            delay = max(0.0, self.state.retry_at - self._clock()) + 0.001
            self._retry = asyncio.get_running_loop().call_later(delay, self._apply, RetryDue())

    async def _live(self) -> None:
        """Run its process from start to end; every failure becomes a state from which it is tried again."""
        try:
            cause = await self._run_once()
        except KubectlError as error:
            cause = error
        except Exception as error:  # a connection must not wait for ever for a child that is not even starting
            log.exception("child %s", self.target)
            cause = KubectlError(f"internal error: {error}")
        if self.pid and self.state.phase in (Phase.STARTING, Phase.RUNNING):
            self.restarts += 1
        self.pid, self._forward = 0, None
        self._cancel_timers()
        lasting = isinstance(cause, (ForbiddenError, UnauthorizedError))
        # A kubeconfig that is just being written leads nowhere, either.
        lasting |= isinstance(cause, ConfigurationError) and self.state.failures >= WRITING_FAILURES
        reason, refused = self._refusal or cause.message, self._dial_failures > 0
        self._apply(Exited(reason, lasting=lasting, refused=refused, luck=random.random()))

    async def _run_once(self) -> KubectlError:
        """Start kubectl, report when it listens, and wait for its end.

        Returns:
            Why it ended.
        """
        async with await self._forwarder.start(self.target, self._hear) as forward:
            self._forward, self.pid = forward, forward.pid
            self.port = await forward.await_port()
            self.idle_since = self._clock()
            self._liveness.heard(self.idle_since)
            self._apply(Ready())
            return await forward.ended()

    def _hear(self, line: str) -> None:
        """Take a line of kubectl's stderr."""
        if kubectl.is_fatal(line):
            self._failing = True
            self._dial_failures += kubectl.is_dial_failure(line)
            self._refusal = kubectl.brief(line)
            self._changed.fire()
            if self._wedged is None:
                self._wedged = asyncio.get_running_loop().call_later(FAILING_SECONDS, self._still_failing)

    def _still_failing(self) -> None:
        """End kubectl if several failures at once have wedged it: it then neither ends by itself nor carries a byte."""
        self._wedged = None
        if self._failing and self.state.phase in (Phase.RUNNING, Phase.DRAINING):
            self._tasks.start(self.end(), f"ending child {self.target}, which is wedged")

    def _cancel_timers(self) -> None:
        for timer in (self._retry, self._wedged, self._next_look):
            if timer is not None:
                timer.cancel()
        self._retry = self._wedged = self._next_look = None
