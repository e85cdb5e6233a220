"""Who has claimed which Services for an exposure, and whether a colleague's claim may be taken over; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.journal import Entry, describe, sessions
from kubectl_localize.cluster.exposing.values import FAILSAFE_CONTAINER, SESSION_LABEL
from kubectl_localize.cluster.objects import is_ready
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import ServiceKey

TAKE_OVER_SECONDS = 600.0  # of silence, after which a claim may be taken over

Json = dict[str, Any]


class ExposedAlreadyError(LocalizeError):
    """Somebody exposes a Service, or its workload, already.

    Args:
        held: the journals of their session, at least one.
    """

    def __init__(self, message: str, hint: str, held: Sequence[Entry]) -> None:
        super().__init__(message, hint)
        self.held = tuple(held)


def exposed_already(
    key: ServiceKey, held: Sequence[Entry], now: datetime, advice: Callable[[Sequence[Entry]], str]
) -> ExposedAlreadyError:
    """The error that names who exposes a Service, or its workload, already.

    Args:
        held: the journals of their session.
    """
    others = f" (with {', '.join(held[0].services)})" if str(key) not in held[0].services else ""
    message = f"{key} is exposed already{others} by {describe(held[0], now)}"
    return ExposedAlreadyError(message, advice(held), held)


def silent_seconds(session: Sequence[Entry], now: datetime) -> float:
    """For how long a session's owner has not been heard of."""
    return (now - max(entry.seen for entry in session)).total_seconds()


def against_taking_over(session: Sequence[Entry], pods: Sequence[Json] | None, now: datetime) -> str:
    """Say why a session may not be taken over; empty if it may.

    Args:
        session: its journals, at least one.
        pods: the exposure pods of its namespace; None if they cannot be listed. One that is Ready proves that its
            supervisor lives, whatever the clocks say: it answers the readiness probes.
        now: the wall clock; better the API server's.
    """
    silent = silent_seconds(session, now)
    if silent < TAKE_OVER_SECONDS:
        return f"last seen {_duration(silent)} ago, and not {_duration(TAKE_OVER_SECONDS)}"
    if pods is None:
        return "you may not list pods, so it is not known whether its machine answers"
    if ready := [pod["metadata"]["name"] for pod in _of(session, pods) if is_ready(pod)]:
        return f"pod {ready[0]} is Ready, so its machine answers"
    return ""


@dataclass(frozen=True)
class Claim:
    """What `ls --cluster` shows of one session.

    Args:
        services: as `ns/name`.
        owner: the API server's name for the user, and who on which machine.
        here: whether it is this user on this machine.
        silent_seconds: for how long the owner has not been heard of.
        failsafe: `off`, `armed`, `fired 2026-01-31T12:00:00Z`; empty if it is not known.
        against: why it may not be taken over; empty if it may.
    """

    namespace: str
    session: str
    services: tuple[str, ...]
    workloads: tuple[str, ...]
    owner: str
    here: bool
    since: datetime
    seen: datetime
    silent_seconds: float
    failsafe: str
    against: str

    def to_json(self) -> Json:
        """Its fields for `-o json`."""
        return {
            "kind": "Claim",
            "namespace": self.namespace,
            "session": self.session,
            "services": list(self.services),
            "workloads": list(self.workloads),
            "owner": self.owner,
            "here": self.here,
            "since": _rfc3339(self.since),
            "lastSeen": _rfc3339(self.seen),
            "failsafe": self.failsafe,
            "takeOver": not self.against,
            "reason": self.against,
        }


def claims(
    entries: Sequence[Entry], pods: Sequence[Json] | None, now: datetime, *, machine: str, uid: int
) -> list[Claim]:
    """The claims that these journals make, by namespace and Service.

    Args:
        pods: the exposure pods of their namespaces; None if they cannot be listed.
        machine, uid: this machine and this user, as journals have them.
    """
    made = [_claim(session, pods, now, machine, uid) for session in sessions(entries)]
    return sorted(made, key=lambda claim: (claim.namespace, claim.services))


def _claim(session: Sequence[Entry], pods: Sequence[Json] | None, now: datetime, machine: str, uid: int) -> Claim:
    first = session[0]
    here = (first.owner.machine, first.owner.uid) == (machine, uid)
    return Claim(
        namespace=first.namespace,
        session=first.session,
        services=first.services,
        workloads=tuple(
            f"{entry.workload.kind}/{entry.workload.name}" + (f" ({entry.replicas})" if entry.replicas else "")
            for entry in session
        ),
        owner=str(first.owner),
        here=here,
        since=first.since,
        seen=max(entry.seen for entry in session),
        silent_seconds=max(0.0, silent_seconds(session, now)),
        failsafe=_failsafe(_of(session, pods)) if pods is not None else "",
        against="it is your own" if here else against_taking_over(session, pods, now),
    )


def _failsafe(pods: Sequence[Json]) -> str:
    """What the failsafe of a session's pods has done."""
    if fired := next((said for pod in pods if (said := failsafe.fired(pod))), ""):
        return fired
    names = {container["name"] for pod in pods for container in pod["spec"]["containers"]}
    return "armed" if FAILSAFE_CONTAINER in names else "off"


def _of(session: Sequence[Entry], pods: Sequence[Json] | None) -> list[Json]:
    first = session[0]
    return [
        pod
        for pod in pods or ()
        if pod["metadata"]["namespace"] == first.namespace and _labels(pod).get(SESSION_LABEL) == first.session
    ]


def _labels(pod: Json) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}


def _duration(seconds: float) -> str:
    """As people say it: `40 s`, `12 minutes`."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
