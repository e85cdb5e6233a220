"""The control socket between a command and its supervisor: every request and every event, one JSON object a line.

A command sends requests; the supervisor sends events, the last of them the request's outcome. Some events are
questions: the command answers one with an `Answer` that has its number. docs/how-it-works.md shows conversations.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kubectl_localize.codec import CodecError, from_json, to_json
from kubectl_localize.ls_document import ForwardCounts, LsDocument
from kubectl_localize.model import Connection, Options, PodOptions, PortMap, Selection, ServiceKey

FAILSAFE_SECONDS = 600.0


# -- requests: what a command sends -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class StartRequest:
    """`kubectl localize`: forward a selection. Outcome: Ready or Failed."""

    op: ClassVar = "start"
    connection: Connection
    selection: Selection
    options: Options
    detach: bool = False


@dataclass(frozen=True)
class ExposeRequest:
    """`kubectl localize expose`. Outcome: Exposed, PlanReady (with `dry_run`) or Failed.

    Args:
        services: what is exposed, in one namespace or in several.
        maps: where the local processes listen, if not at the target ports' numbers.
        keep: leave the workloads running, and switch the Services' selectors instead.
        share: leave both as they are, and let the local process take a part of the traffic.
        force: go on though something speaks against it that may be overruled.
        dry_run: check and say what would be done, change nothing.
        take_over: undo a colleague's exposure that is in the way, if its owner has been silent for long.
        failsafe_seconds: after how long without this machine the cluster brings the workload back; 0: never.
        failsafe_service_account: one made by an admin for that; empty: our own.
        image, failsafe_image: empty for the default ones.
        image_pull_secret: one more than the workload's own; empty for none.
        pod: what else is to be otherwise of the exposure's objects.
        command: whether the command line starts the local process, with the environment of the replaced container.
        environment: variables of that which it gets although they stay away by default, by name.
        environment_excluded: globs of variables of that which it does not get.
        detach: whether the exposures outlive the command.
    """

    op: ClassVar = "expose"
    connection: Connection
    services: tuple[ServiceKey, ...]
    maps: tuple[PortMap, ...] = ()
    keep: bool = False
    share: bool = False
    force: bool = False
    dry_run: bool = False
    take_over: bool = False
    failsafe_seconds: float = FAILSAFE_SECONDS
    failsafe_service_account: str = ""
    image: str = ""
    failsafe_image: str = ""
    image_pull_secret: str = ""
    pod: PodOptions = field(default_factory=PodOptions)
    command: bool = False
    environment: tuple[str, ...] = ()
    environment_excluded: tuple[str, ...] = ()
    detach: bool = False


@dataclass(frozen=True)
class UnexposeRequest:
    """`expose --stop`: end the exposures of these Services. Outcome: Restored or Failed."""

    op: ClassVar = "unexpose"
    services: tuple[ServiceKey, ...]


@dataclass(frozen=True)
class RestoreRequest:
    """`restore`: undo what crashed runs left in the cluster. Outcome: RestoreDone, after a Failed for each failure.

    Args:
        namespaces: where to look besides those of the ledger, if not all may be listed.
        dry_run: say what would be undone (PlanReady), and undo nothing.
        assume_yes: undo dead sessions that this machine has no record of without asking.
    """

    op: ClassVar = "restore"
    connection: Connection
    namespaces: tuple[str, ...] = ()
    dry_run: bool = False
    assume_yes: bool = False


@dataclass(frozen=True)
class ReleaseRequest:
    """End what this command holds, and say when it is over. Outcome: Released."""

    op: ClassVar = "release"


@dataclass(frozen=True)
class StopRequest:
    """`stop`: end the supervisor, or what it does for some Services. Outcome: Ended, or Stopped.

    Args:
        patterns: these Services, `ns/svc` or globs of it; empty: everything.
    """

    op: ClassVar = "stop"
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The answer to the question of this number: whether the command could do it, or the user said yes.

    Args:
        process_group: of the local command, if that was started.
    """

    op: ClassVar = "answer"
    question: int
    granted: bool = True
    process_group: int = 0


Request = StartRequest | ExposeRequest | UnexposeRequest | RestoreRequest | ReleaseRequest | StopRequest | Answer


# -- events: what the supervisor sends --------------------------------------------------------------------------------
@dataclass(frozen=True)
class Accepted:
    """The request is being carried out."""

    event: ClassVar = "accepted"


@dataclass(frozen=True)
class Taken:
    """This supervisor ends, or never came to be: ask the one that holds the pidfile now."""

    event: ClassVar = "taken"


@dataclass(frozen=True)
class Progress:
    """What is being waited for from now on."""

    event: ClassVar = "progress"
    text: str


@dataclass(frozen=True)
class Step:
    """What has been done."""

    event: ClassVar = "step"
    text: str


@dataclass(frozen=True)
class Missed:
    """What was waited for and has not come about, or what has failed; what follows from it is told later."""

    event: ClassVar = "missed"
    text: str


@dataclass(frozen=True)
class Back:
    """What is as it was before, once nothing of an exposure is left: `shop/web is back, 2 of 2 Ready`."""

    event: ClassVar = "back"
    text: str


@dataclass(frozen=True)
class Change:
    """Something worth knowing has changed in the cluster: `shop/web: pod web-abc is gone, now web-def`."""

    event: ClassVar = "change"
    text: str


@dataclass(frozen=True)
class Warn:
    """What is missing but does not stop the rest, in a sentence.

    Args:
        lacks_privileges: whether it is missing because there is no privileged helper; the command knows why.
    """

    event: ClassVar = "warning"
    text: str
    lacks_privileges: bool = False


@dataclass(frozen=True)
class Failed:
    """The request failed, or a part of it: a sentence and a hint."""

    event: ClassVar = "error"
    message: str
    hint: str = ""


@dataclass(frozen=True)
class PrivilegesNeeded:
    """A question: start the privileged helper through sudo?

    Args:
        question: its number.
        hosts: whether the hosts file has to be written.
        ports: the ports below 1024 that have to be bound.
        addresses: whether addresses have to be added to the loopback interface (macOS).
    """

    event: ClassVar = "need"
    question: int
    hosts: bool
    ports: tuple[int, ...]
    addresses: bool = False


@dataclass(frozen=True)
class CommandWanted:
    """A question: start the local command now, with these variables of the replaced container?"""

    event: ClassVar = "run"
    question: int
    variables: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LoginNeeded:
    """A question: the credentials are not accepted; have the credential plugin ask the user in the terminal?

    Args:
        question: its number.
    """

    event: ClassVar = "login"
    question: int


@dataclass(frozen=True)
class ConfirmationNeeded:
    """A question for the user: yes or no?"""

    event: ClassVar = "confirm"
    question: int
    text: str


@dataclass(frozen=True)
class Ready:
    """Everything that was selected is forwarded.

    Args:
        counts: how many Services that are.
        document: what `ls` shows; None after a request with `detach`, whose command shows the counts only.
        example: an address to try: `http://web.shop/` or `db.shop:5432`; empty if nothing listens.
        hosts_file: the file that the names are written to; empty if they are not.
        namespaces: those whose Services have an address.
    """

    event: ClassVar = "ready"
    counts: ForwardCounts
    document: LsDocument | None
    example: str = ""
    hosts_file: str = ""
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exposed:
    """The exposure is live."""

    event: ClassVar = "exposed"
    document: LsDocument


@dataclass(frozen=True)
class PlanReady:
    """With `--dry-run`: what would be done, a line each."""

    event: ClassVar = "plan"
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ExposureOver:
    """An exposure has ended by itself, or because another command ended it; `message` is empty if all is well."""

    event: ClassVar = "over"
    services: tuple[str, ...]
    message: str = ""
    hint: str = ""
    ending: bool = False


@dataclass(frozen=True)
class ForwardsOver:
    """Nothing is left of what this command forwards: another command has stopped it."""

    event: ClassVar = "stopped-by-another"


@dataclass(frozen=True)
class Stopped:
    """The Services that were to be stopped are neither forwarded nor exposed any more; `ending` as in Released."""

    event: ClassVar = "stopped"
    ending: bool = False


@dataclass(frozen=True)
class Released:
    """What the command held is back; `ending`: nobody else holds the supervisor, so it ends too."""

    event: ClassVar = "released"
    ending: bool = False


@dataclass(frozen=True)
class Restored:
    """The exposures that were to end are back; `ending` as in Released."""

    event: ClassVar = "restored"
    ending: bool = False


@dataclass(frozen=True)
class RestoreDone:
    """`restore` has looked everywhere; `had_leftovers`: whether there was anything to undo or to leave alone."""

    event: ClassVar = "recovered"
    had_leftovers: bool
    ending: bool = False


@dataclass(frozen=True)
class Postponed:
    """What was to end cannot be brought back for now, as a Failed before has said; it is tried again until it is."""

    event: ClassVar = "postponed"


@dataclass(frozen=True)
class Ended:
    """The supervisor has undone everything and ends."""

    event: ClassVar = "ended"


Event = (
    Accepted | Taken | Progress | Step | Missed | Back | Change | Warn | Failed | PrivilegesNeeded | CommandWanted
    | ConfirmationNeeded | LoginNeeded | Ready | Exposed | PlanReady | ExposureOver | ForwardsOver | Stopped | Released
    | Restored | RestoreDone | Postponed | Ended
)  # fmt: skip

_REQUESTS: Mapping[str, type[Request]] = {kind.op: kind for kind in Request.__args__}
_EVENTS: Mapping[str, type[Event]] = {kind.event: kind for kind in Event.__args__}


# -- lines ------------------------------------------------------------------------------------------------------------
def to_line(message: Request | Event) -> bytes:
    """A request or an event as the line that goes over the socket."""
    tag = {"op": message.op} if isinstance(message, Request) else {"event": message.event}
    return json.dumps({**tag, **to_json(message)}).encode() + b"\n"


def request_from_line(line: bytes) -> Request:
    """Parse a line into a request.

    Raises:
        CodecError: this version does not know the request, or one of its fields: no wish may be dropped silently.
    """
    kind, data = _tagged(line, "op", _REQUESTS)
    request: Request = from_json(kind, data, strict=True)
    return request


def event_from_line(line: bytes) -> Event:
    """The event in a line; what a newer supervisor adds to it is left out.

    Raises:
        CodecError: if it is none that this version knows.
    """
    kind, data = _tagged(line, "event", _EVENTS)
    event: Event = from_json(kind, data)
    return event


def _tagged(line: bytes, tag: str, kinds: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CodecError("the line is no JSON") from error
    if not isinstance(data, dict):
        raise CodecError("the line is no object")
    name = data.pop(tag, None)
    kind = kinds.get(name) if isinstance(name, str) else None
    if kind is None:
        raise CodecError(f"there is no {tag} {name!r}")
    return kind, data
