"""A child's life as a pure function: from its state and an event to its next state and what has to be done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum

from kubectl_localize.timing import Backoff

LOST = Backoff(first_seconds=0.1, longest_seconds=5.0, jitter=0.2)
REFUSED = Backoff(first_seconds=0.1, longest_seconds=1.0, jitter=0.2)
LASTING = Backoff(first_seconds=30.0, longest_seconds=30.0, jitter=0.2)


class Phase(StrEnum):
    """Where a child is in its life."""

    IDLE = "Idle"  # not started, or started and gone without anybody missing it
    STARTING = "Starting"  # spawned, does not listen yet
    RUNNING = "Running"  # listens
    DRAINING = "Draining"  # keeps its connections, gets no new one
    BACKOFF = "Backoff"  # failed, is tried again at `retry_at`
    STOPPING = "Stopping"  # told to end
    FAILED = "Failed"  # failed for a reason that time alone does not mend; tried again at `retry_at`, rarely


class Action(Enum):
    """What the caller has to do after a transition."""

    SPAWN = "spawn"
    TERMINATE = "terminate"
    WAKE_AT_RETRY = "wake at retry"


@dataclass(frozen=True)
class Policy:
    """When a child that has failed is tried again.

    Args:
        lost: after most failures.
        refused: while all is well but for the pod, which may listen at any moment.
        lasting: after a failure that time alone does not mend.
    """

    lost: Backoff = LOST
    refused: Backoff = REFUSED
    lasting: Backoff = LASTING


@dataclass(frozen=True)
class ChildState:
    """A child's state; times are the caller's clock in seconds.

    Args:
        lasting: whether its last start failed for a reason that time alone does not mend; until one succeeds.
    """

    phase: Phase = Phase.IDLE
    failures: int = 0
    retry_at: float = 0.0
    reason: str = ""
    lasting: bool = False


@dataclass(frozen=True)
class Wanted:
    """A connection wants it."""


@dataclass(frozen=True)
class Ready:
    """kubectl has printed that it listens."""


@dataclass(frozen=True)
class Answered:
    """A byte came back through it, so earlier failures no longer count."""


@dataclass(frozen=True)
class Exited:
    """It is gone.

    Args:
        reason: why, in a few words.
        lasting: whether trying again soon is useless (the user may not forward ports, say).
        refused: whether all was well but for the pod, which does not listen on that port (yet).
        luck: a random number from 0 to 1 that spreads retries.
    """

    reason: str
    lasting: bool = False
    refused: bool = False
    luck: float = 0.5


@dataclass(frozen=True)
class RetryDue:
    """The time of `retry_at` has come."""


@dataclass(frozen=True)
class Retire:
    """It shall get no new connection: its pod goes, the cluster was away, or it has been idle for too long."""

    connections: int


@dataclass(frozen=True)
class Drained:
    """Its last connection has ended."""


Event = Wanted | Ready | Answered | Exited | RetryDue | Retire | Drained


def transition(
    state: ChildState, event: Event, now: float, policy: Policy | None = None
) -> tuple[ChildState, tuple[Action, ...]]:
    """Decide what an event makes of a child, and what is to be done.

    An event that means nothing in a phase leaves the state as it is: events race with the process's own end.

    Args:
        now: the caller's clock, in seconds.
        policy: when to try again; None means the usual one.

    Returns:
        The new state, and the actions that the caller has to take, in order.
    """
    policy = policy or Policy()
    match event, state.phase:
        case Wanted(), Phase.IDLE:
            return replace(state, phase=Phase.STARTING), (Action.SPAWN,)
        case Ready(), Phase.STARTING:
            return replace(state, phase=Phase.RUNNING, reason="", lasting=False), ()
        case Answered(), Phase.RUNNING | Phase.DRAINING:
            return replace(state, failures=0), ()
        case Exited(), Phase.STOPPING | Phase.DRAINING:
            return ChildState(), ()
        case Exited(), Phase.STARTING | Phase.RUNNING:
            return _failed(state, event, now, policy)
        case RetryDue(), Phase.BACKOFF | Phase.FAILED if now >= state.retry_at:
            return replace(state, phase=Phase.IDLE), ()
        case Retire(), Phase.RUNNING | Phase.STARTING if event.connections:
            return replace(state, phase=Phase.DRAINING), ()
        case Retire(), Phase.RUNNING | Phase.STARTING:
            return replace(state, phase=Phase.STOPPING), (Action.TERMINATE,)
        case Retire(), Phase.BACKOFF | Phase.FAILED:
            return ChildState(), ()
        case Drained(), Phase.DRAINING:
            return replace(state, phase=Phase.STOPPING), (Action.TERMINATE,)
        case _:
            return state, ()


def _failed(state: ChildState, event: Exited, now: float, policy: Policy) -> tuple[ChildState, tuple[Action, ...]]:
    failures = state.failures + 1
    if event.lasting:
        phase, backoff = Phase.FAILED, policy.lasting
    else:
        phase, backoff = Phase.BACKOFF, policy.refused if event.refused else policy.lost
    retry_at = now + backoff.seconds(failures, event.luck)
    return ChildState(phase, failures, retry_at, event.reason, event.lasting), (Action.WAKE_AT_RETRY,)
