"""All children of a supervisor: shared by the connections that go to the same port of the same pod."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator

from kubectl_localize.supervisor.processes.child import Child, Pods
from kubectl_localize.supervisor.processes.lifecycle import Phase
from kubectl_localize.supervisor.processes.port_forward import PortForwarder, Target
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.timing import Notifier

log = logging.getLogger(__name__)

LIVE = (Phase.STARTING, Phase.RUNNING, Phase.DRAINING)
STALL_SECONDS = 0.3


class Pool:
    """Children by target, and those that only live on for the connections that they still carry.

    Args:
        forwarder: starts the children's processes.
        pods: knows whether a pod is still there.
        clock: seconds, monotonic.
        changed: fired whenever a child's state changes.
        reporter: hears of the soft limit.
        max_children: a soft limit: if all are busy, another starts anyway, with a warning.
        idle_timeout_seconds: how long a child without connections lives on.
    """

    def __init__(
        self,
        *,
        forwarder: PortForwarder,
        pods: Pods,
        clock: Callable[[], float],
        changed: Notifier,
        reporter: Reporter,
        max_children: int,
        idle_timeout_seconds: float,
    ) -> None:
        self._forwarder = forwarder
        self._pods = pods
        self._clock = clock
        self._changed = changed
        self._reporter = reporter
        self._max_children = max_children
        self._idle_timeout = idle_timeout_seconds
        self._children: dict[Target, Child] = {}
        self._leaving: set[Child] = set()

    def get(self, target: Target) -> Child | None:
        """Return the child that new connections use; one that takes none, or that a client holds up, is replaced."""
        child = self._children.get(target)
        if child is not None and child.phase is Phase.DRAINING:
            self._leave(target)
            return None
        if child is not None and child.phase is Phase.RUNNING and child.stalled_seconds() > STALL_SECONDS:
            log.info("child %s: a client has stopped reading; new connections get another child", target)
            self._leave(target)
            return None
        return child

    def peek(self, target: Target) -> Child | None:
        """Return the child of a target, and leave it as it is."""
        return self._children.get(target)

    def replace(self, child: Child) -> None:
        """Give new connections to a child's target another child."""
        if self._children.get(child.target) is child:
            self._leave(child.target)

    def want(self, target: Target) -> Child:
        """Return the child of a target, started if it was idle."""
        child = self._children.get(target)
        if child is None:
            child = self._children[target] = Child(
                target, forwarder=self._forwarder, clock=self._clock, changed=self._changed
            )
        if child.phase is Phase.IDLE:
            self._make_room()
            child.want()
        return child

    @property
    def has_room(self) -> bool:
        """Whether a child may be started without ending another one for it."""
        return sum(1 for _ in self.live()) < self._max_children

    def limit(self, max_children: int, idle_timeout_seconds: float) -> None:
        """Have other limits from now on, as other commands want something."""
        self._max_children, self._idle_timeout = max_children, idle_timeout_seconds

    def keep(self, targets: Iterable[Target]) -> None:
        """Retire the children of all other targets: their pods are going, or gone."""
        wanted = set(targets)
        for target in [target for target in self._children if target not in wanted]:
            self._leave(target)

    def look_after(self, missed: Callable[[Target], bool]) -> None:
        """Watch pods that left their Services but still have connections, and end the children of pods that are gone.

        Args:
            missed: whether a target's pod is behind no Service any more.
        """
        for child in self._leaving:
            if child.phase is Phase.DRAINING and missed(child.target):
                child.end_with_pod(self._pods)

    def renew(self) -> None:
        """Give new connections fresh children; the old ones keep their connections for as long as those last."""
        for target in list(self._children):
            self._leave(target)

    def retry_failed(self) -> None:
        """Let the next connection start again what failed for a lasting reason, which may be mended by now."""
        for target, child in list(self._children.items()):
            if child.phase is Phase.FAILED or child.state.lasting:
                self._leave(target)

    def sweep(self) -> None:
        """Stop children without connections whose time is up, forget those that have ended; to be called regularly."""
        now = self._clock()
        for target, child in list(self._children.items()):
            idle = not child.connections and now - child.idle_since >= self._idle_timeout
            if idle and child.phase is Phase.RUNNING:
                self._leave(target)
        self._leaving = {child for child in self._leaving if child.phase in (*LIVE, Phase.STOPPING)}

    def live(self) -> Iterator[Child]:
        """Yield every child that has a process."""
        for child in (*self._children.values(), *self._leaving):
            if child.phase in LIVE or child.pid:
                yield child

    async def end(self) -> None:
        """End all children; if one cannot be ended, the others still are."""
        children = [*self._children.values(), *self._leaving]
        self._children, self._leaving = {}, set()
        outcomes = await asyncio.gather(*(child.close() for child in children), return_exceptions=True)
        for child, outcome in zip(children, outcomes, strict=True):
            if isinstance(outcome, Exception):
                log.error("child %s could not be ended", child.target, exc_info=outcome)

    def _leave(self, target: Target) -> None:
        child = self._children.pop(target)
        child.retire()
        self._leaving.add(child)

    def _make_room(self) -> None:
        if self.has_room:
            return
        idle = [child for child in self._children.values() if child.phase is Phase.RUNNING and not child.connections]
        if idle:
            self._leave(min(idle, key=lambda child: child.idle_since).target)
        else:
            self._reporter.warn(f"all {self._max_children} children (--max-children) are busy; starting one more")
