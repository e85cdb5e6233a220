"""A forward's listener: chooses a pod for each connection, waits for one if none is Ready, and tries again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from kubectl_localize.host.system.listeners import Listener as Listening
from kubectl_localize.ls_document import Status
from kubectl_localize.model import Endpoint
from kubectl_localize.supervisor.access import Access
from kubectl_localize.supervisor.forwarding.spec import Terms
from kubectl_localize.supervisor.probe import ApiServerProbe
from kubectl_localize.supervisor.processes.child import Child
from kubectl_localize.supervisor.processes.lifecycle import Phase
from kubectl_localize.supervisor.processes.pool import Pool
from kubectl_localize.supervisor.processes.port_forward import Target
from kubectl_localize.supervisor.traffic.balancing import Affinity, Candidate, choose
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.relay import Outcome, Relay
from kubectl_localize.supervisor.traffic.server import Admission, ConnectionServer, RefusalLog, RefusedError
from kubectl_localize.timing import Notifier, first_of

log = logging.getLogger(__name__)

VERDICT_SECONDS = 0.3  # kubectl says why it closes a connection just before it does
REFUSED_SECONDS = 1.0  # how long a connection that every Ready pod refuses waits for another pod
SLOW_START_SECONDS = 3.0  # a child that has not started by then may never: its pod's node may be dead
DISCARD_SECONDS = 15.0
REPEATS = 3


@dataclass(frozen=True)
class ListenerConfig:
    """What all listeners of a session share.

    Args:
        pool: the children.
        probe: knows whether the API server can be reached.
        access: knows whether it accepts what the kubeconfig says.
        changed: fired when waiting connections have to look again.
        clock: seconds, monotonic.
        admission: decides who is served.
        open_admission: the same for Services whose terms let everybody in.
        refusals: hears of connections that are given up.
        buffer: what bytes are read into.
    """

    pool: Pool
    probe: ApiServerProbe
    access: Access
    changed: Notifier
    clock: Callable[[], float]
    admission: Admission
    open_admission: Admission
    refusals: RefusalLog
    buffer: ReadBuffer


class Listener(ConnectionServer):
    """Serves one address and port with the Ready pods it is told of.

    All its clients count as one: in the cluster, too, this machine would have one IP address.

    Args:
        namespace: the pods' namespace.
        terms: how its connections are treated.

    Attributes:
        endpoints: the Ready pods and their ports.
        problem: why it does not listen, or not where it should; empty if all is well.
        stranger: the socket of another user that has its place.
    """

    def __init__(self, config: ListenerConfig, namespace: str, terms: Terms) -> None:
        super().__init__(config.admission, config.refusals, config.buffer)
        self._config = config
        self._namespace = namespace
        self.terms = terms
        self._turn = 0
        self._affinity = Affinity()
        self.endpoints: tuple[Endpoint, ...] = ()
        self.problem = ""
        self.stranger: Listening | None = None

    @property
    def terms(self) -> Terms:
        """How its connections are treated; they may change while it listens."""
        return self._terms

    @terms.setter
    def terms(self, terms: Terms) -> None:
        self._terms = terms
        self._admission = self._config.open_admission if terms.everybody else self._config.admission

    def follow(self, endpoints: tuple[Endpoint, ...], namespace: str, affinity_seconds: int) -> None:
        """Use these Ready pods from now on; connections that wait look again.

        Args:
            namespace: the pods'.
            affinity_seconds: how long clients keep to one pod after their last new connection; 0 for not at all.
        """
        self._namespace = namespace
        self._affinity = replace(self._affinity, seconds=affinity_seconds)
        if endpoints != self.endpoints:
            self.endpoints = endpoints
            self._config.changed.fire()

    def children(self) -> list[Child]:
        """The children that its new connections use."""
        children = (self._config.pool.peek(self._target(endpoint)) for endpoint in self.endpoints)
        return [child for child in children if child is not None]

    def status(self) -> tuple[Status, str]:
        """Return what `ls` shows: a status and its reason."""
        if self.problem:
            return Status.BACKOFF, self.problem
        if not self._config.probe.up:
            return Status.WAITING, "the API server does not answer"
        if not self.endpoints:
            return Status.WAITING, "no Ready pod"
        children = self.children()
        if any(child.phase in (Phase.STARTING, Phase.RUNNING) and not child.state.lasting for child in children):
            return Status.ACTIVE, ""
        failed = [child for child in children if child.phase in (Phase.BACKOFF, Phase.FAILED) or child.state.lasting]
        if failed:
            return Status.BACKOFF, failed[0].reason
        return (Status.BACKOFF, self._config.access.problem) if self._config.access.problem else (Status.IDLE, "")

    # -- one connection -----------------------------------------------------------------------------------------------
    async def carry(self, relay: Relay) -> bool:
        began = self._config.clock()
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
            log.debug("a connection that %s did not take is tried again", child.target)
        return False

    async def _through(self, relay: Relay, child: Child) -> Outcome | None:
        """Relay through a child.

        Returns:
            How the connection ended; None if the child's port did not accept it, since the child has just ended.
        """
        try:
            outcome = await relay.through(child, DISCARD_SECONDS)
        except OSError:
            child.unusable()
            return None
        if outcome is None:  # what a client that is gone has asked for is still coming, and holds the others up
            self._config.pool.replace(child)
            return Outcome.DONE
        return outcome

    async def _pick(self, relay: Relay, refused: set[Endpoint], began: float) -> tuple[Child | None, Endpoint | None]:
        """Wait for a pod and its child.

        Args:
            refused: the endpoints that did not take this connection.
            began: when it was accepted.

        Returns:
            The child and the pod; two Nones if the client has gone meanwhile.

        Raises:
            RefusedError: the time is up.
        """
        self._turn += 1
        waited = False
        while not relay.client_is_gone:
            refused &= set(self.endpoints)
            slow = self._config.clock() - began >= SLOW_START_SECONDS
            child, endpoint = self._look(refused, spread=not waited, impatient=slow)
            waited = True
            if child is not None and endpoint is not None:
                self._affinity = self._affinity.used(endpoint.pod, self._config.clock())
                return child, endpoint
            now = self._config.clock()
            limit = self._terms.wait_timeout_seconds
            until = began + (min(REFUSED_SECONDS, limit) if self._is_hopeless(refused) else limit)
            if now >= until:
                raise RefusedError(self.status()[1] or "every Ready pod refuses it")
            await self._wait(relay, min(until - now, SLOW_START_SECONDS))
        return None, None

    def _is_hopeless(self, refused: set[Endpoint]) -> bool:
        """Whether there are pods, and none of them will take the connection.

        Those that are on their way out do not count: others will come for them.
        """
        failed = {child.target for child in self.children() if child.phase is Phase.FAILED}
        lost = [
            (endpoint in refused or self._target(endpoint) in failed) and not endpoint.terminating
            for endpoint in self.endpoints
        ]
        return self._config.probe.up and bool(lost) and all(lost)

    def _look(self, refused: set[Endpoint], *, spread: bool, impatient: bool) -> tuple[Child | None, Endpoint | None]:
        """Choose a pod for a connection now, and start the child that the choice asks for.

        Returns:
            The child and the pod; two Nones if the connection has to wait.
        """
        pool = self._config.pool
        if not self._config.probe.up:
            return None, None
        candidates = []
        for endpoint in self.endpoints:
            child = pool.get(self._target(endpoint))
            phase, connections = (child.phase, child.connections) if child is not None else (Phase.IDLE, 0)
            candidates.append(Candidate(endpoint, phase, connections, endpoint in refused))
        kept = candidates if impatient else self._affinity.kept(candidates, self._config.clock())
        spread = spread and not self._affinity.seconds
        choice = choose(kept, self._turn, spread=spread, impatient=impatient)
        if choice.start is not None and (choice.use is None or pool.has_room):
            pool.want(self._target(choice.start))
        return (pool.get(self._target(choice.use)), choice.use) if choice.use is not None else (None, None)

    async def _wait(self, relay: Relay, seconds: float) -> None:
        """Wait until something has changed, the client is gone, or the time is up."""
        # `next` at once: a task would begin to wait only after what is next in line
        await first_of(self._config.changed.next(), relay.closed.wait(), timeout_seconds=seconds)

    def _target(self, endpoint: Endpoint) -> Target:
        return Target(self._namespace, endpoint.pod, endpoint.port)
