"""Which pod a new connection goes to: pure decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kubectl_localize.model import Endpoint
from kubectl_localize.supervisor.processes.lifecycle import Phase

PODS_IN_USE_AT_MOST = 4


@dataclass(frozen=True)
class Candidate:
    """A Ready pod's port, and how its child is.

    Args:
        endpoint: the pod and its port.
        phase: the child's; Idle also if there is no child yet.
        connections: how many the child carries.
        refused: whether the pod has refused this very connection already.
    """

    endpoint: Endpoint
    phase: Phase
    connections: int = 0
    refused: bool = False


@dataclass(frozen=True)
class Choice:
    """What to do with a connection now; it waits if there is nothing to use.

    Args:
        use: the pod that it goes to.
        start: the pod whose child is to be started.
    """

    use: Endpoint | None = None
    start: Endpoint | None = None


@dataclass(frozen=True)
class Affinity:
    """The pod that a client keeps (`sessionAffinity: ClientIP`), for some time after its last new connection.

    Args:
        seconds: that time; 0 means that it keeps none.
        pod: the pod; empty before the first connection.
        until: when it is free to go elsewhere, on the monotonic clock.
    """

    seconds: int = 0
    pod: str = ""
    until: float = 0.0

    def kept(self, candidates: Sequence[Candidate], now: float) -> list[Candidate]:
        """The candidates for a connection: the kept pod alone, or all if that is gone, refuses or cannot be reached."""
        if not self.seconds or now >= self.until:
            return list(candidates)
        unreachable = (Phase.BACKOFF, Phase.FAILED)
        usable = [
            candidate
            for candidate in candidates
            if candidate.endpoint.pod == self.pod and not candidate.refused and candidate.phase not in unreachable
        ]
        return usable or list(candidates)

    def used(self, pod: str, now: float) -> Affinity:
        """What holds after a connection has gone to a pod."""
        return replace(self, pod=pod, until=now + self.seconds) if self.seconds else self


def choose(candidates: Sequence[Candidate], turn: int, *, spread: bool, impatient: bool = False) -> Choice:
    """Spread connections over the pods without making them wait.

    The running child with the fewest connections is used; of equal ones, each in turn. Meanwhile one more pod's child
    is started, until there are `PODS_IN_USE_AT_MOST`. If none runs, one is started, and connections that come meanwhile
    share it.

    Args:
        candidates: the Ready pods.
        turn: a number that grows with each connection.
        spread: whether another pod's child may be started although one runs. False for a connection that has waited,
            so that the first connection starts only one child.
        impatient: whether a starting child takes too long, so that another pod's child is started as well.
    """
    open_to = [candidate for candidate in candidates if not candidate.refused]
    running = [candidate for candidate in open_to if candidate.phase is Phase.RUNNING]
    starting = [candidate for candidate in open_to if candidate.phase is Phase.STARTING]
    idle = [candidate.endpoint for candidate in open_to if candidate.phase is Phase.IDLE]
    if running:
        rotated = [running[(turn + offset) % len(running)] for offset in range(len(running))]
        best = min(rotated, key=lambda candidate: candidate.connections)
        room = spread and len(running) + len(starting) < PODS_IN_USE_AT_MOST
        return Choice(use=best.endpoint, start=idle[0] if idle and room else None)
    if not idle or (starting and not (impatient and len(starting) < PODS_IN_USE_AT_MOST)):
        return Choice()
    return Choice(start=idle[turn % len(idle)])
