"""The journal: a Lease per workload that says who exposes it and what to put back (docs/exposing.md).

Creating it is the lock against colleagues. It is made before anything else and deleted last; what it holds is enough to
undo everything, by this program or by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.selectors import words
from kubectl_localize.cluster.exposing.values import (
    MANAGED_BY,
    MANAGED_BY_LABEL,
    SCALABLE,
    SESSION_LABEL,
    WorkloadRef,
)
from kubectl_localize.text import one_line

GROUP_VERSION = "coordination.k8s.io/v1"
ANNOTATION = "kubectl-localize/journal"
LEASE_SECONDS = 60
RENEW_SECONDS = 20.0
VERSION = 2
WITHOUT_SELECTOR = 1  # the version of a journal that says of no selector; earlier releases read it, too
SHOWN_CHARACTERS = 200  # of an owner's name

SERVICE = ("v1", "Service")  # what is held with `--keep`
_NAME = re.compile(r"[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?")
_SERVICE = re.compile(f"{_NAME.pattern}/{_NAME.pattern}")
_LABEL_KEY = re.compile(r"[-_.A-Za-z0-9]+(?:/[-_.A-Za-z0-9]+)?")
_LABEL_VALUE = re.compile(r"[-_.A-Za-z0-9]*")
_SESSION = re.compile(r"[a-z0-9]{1,32}")

Json = dict[str, Any]


@dataclass(frozen=True)
class Owner:
    """Who exposes: the API's user, and the process on the machine where it runs.

    Args:
        user: the API server's name for them.
        login: `alice@laptop`.
        machine: a hash that tells machines apart.
        uid: the user's number on that machine.
        pid, started: the supervisor's process, and its start time, which tells it from others that had that pid.
        pid_namespace: the boot of the machine and the container in which these numbers are valid; empty if not known.
    """

    user: str
    login: str
    machine: str
    uid: int
    pid: int
    started: float
    pid_namespace: str = ""

    def __str__(self) -> str:
        return f"{self.user} ({self.login})" if self.user else self.login


@dataclass(frozen=True)
class Entry:
    """One journal.

    Args:
        session: the exposure's random id, which all its objects carry as a label.
        workload: what was scaled down; of an exposure with `--keep` or `--share` the Service itself.
        uid: the workload's.
        replicas: what to bring back; None with `--keep` and `--share`.
        selector: what the Service selected by before it was switched; None if it was not.
        services: the Services that were asked for, as `ns/name`.
        since: when it began, in UTC.
        renewed: when its owner last said that they live.
        lease_uid, version: the Lease's own uid and resourceVersion, as far as known.
        written: when the Lease was written last, by the API server's clock; None if it does not say.
    """

    owner: Owner
    session: str
    workload: WorkloadRef
    uid: str
    replicas: int | None
    services: tuple[str, ...]
    since: datetime
    renewed: datetime
    selector: tuple[tuple[str, str], ...] | None = None
    lease_uid: str = ""
    version: str = ""
    written: datetime | None = None

    @property
    def seen(self) -> datetime:
        """When its owner was last heard of; by the API server's clock, if that is known, and not by theirs."""
        return self.written or self.renewed

    @property
    def namespace(self) -> str:
        """Where all of it is."""
        return self.workload.namespace

    @property
    def name(self) -> str:
        """The Lease's name: derived from the workload, so that it is a lock."""
        return lease_name(self.workload)

    @property
    def path(self) -> str:
        """The Lease's path in the API."""
        return f"{collection(self.namespace)}/{self.name}"


def collection(namespace: str) -> str:
    """The path of the Leases of a namespace; of all namespaces if it is empty."""
    return f"/apis/{GROUP_VERSION}" + (f"/namespaces/{namespace}" if namespace else "") + "/leases"


def lease_name(workload: WorkloadRef) -> str:
    """The name of a workload's journal, at most 253 characters: `localize-deployment-cart`."""
    name = f"localize-{workload.kind.lower()}-{workload.name}"
    if len(name) <= 253:
        return name
    return f"{name[:244]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def manifest(entry: Entry, undo: str = "") -> Json:
    """The Lease of a journal (https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/).

    Args:
        undo: commands that undo the whole session without this program.
    """
    content: Json = {
        "version": WITHOUT_SELECTOR if entry.selector is None else VERSION,
        "session": entry.session,
        "owner": asdict(entry.owner),
        "workload": asdict(entry.workload),
        "uid": entry.uid,
        "replicas": entry.replicas,
        "services": list(entry.services),
    }
    if entry.selector is not None:
        content["selector"] = dict(entry.selector)
    metadata: Json = {
        "name": entry.name,
        "namespace": entry.namespace,
        "labels": {MANAGED_BY_LABEL: MANAGED_BY, SESSION_LABEL: entry.session},
        "annotations": {ANNOTATION: json.dumps(content), **({"kubectl-localize/undo": undo} if undo else {})},
    }
    if entry.version:
        metadata["resourceVersion"] = entry.version
    if entry.lease_uid:  # without it a PUT makes a Lease anew that somebody has deleted, whatever the resourceVersion
        metadata["uid"] = entry.lease_uid
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": str(entry.owner),
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": _micro_time(entry.since),
            "renewTime": _micro_time(entry.renewed),
        },
    }


def parse(lease: Mapping[str, Any]) -> Entry | None:
    """Read the journal in a Lease; None if it is not ours, is damaged, or has a version that we do not know."""
    meta, spec = lease["metadata"], lease.get("spec") or {}
    try:
        content = json.loads((meta.get("annotations") or {})[ANNOTATION])
        if content["version"] not in (WITHOUT_SELECTOR, VERSION):
            return None
        workload = WorkloadRef(**{**content["workload"], "namespace": meta["namespace"]})
        owner = _owner(content["owner"])
        if not _is_sound(workload, content["session"], content["replicas"]):
            return None
        if not (_is_owner(owner) and _is_text(content["uid"]) and _are_services(content["services"])):
            return None
        return Entry(
            owner=owner,
            session=content["session"],
            workload=workload,
            uid=content["uid"],
            replicas=content["replicas"],
            services=tuple(content["services"]),
            since=_moment(spec["acquireTime"]),
            renewed=_moment(spec["renewTime"]),
            selector=_selector(content) if content["version"] == VERSION else None,
            lease_uid=meta.get("uid") or "",
            version=meta.get("resourceVersion") or "",
            written=_written(meta),
        )
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _written(meta: Mapping[str, Any]) -> datetime | None:
    """When the API server took the last change of an object, by its own clock.

    https://kubernetes.io/docs/reference/using-api/server-side-apply/#managed-fields
    """
    times = [_moment(entry["time"]) for entry in meta.get("managedFields") or () if entry.get("time")]
    return max(times, default=None)


def _owner(content: Mapping[str, Any]) -> Owner:
    """The owner in a journal. Its words are shown in terminals, so they become one printable line here."""
    owner = Owner(**content)
    return replace(
        owner,
        user=one_line(owner.user, SHOWN_CHARACTERS),
        login=one_line(owner.login, SHOWN_CHARACTERS),
    )


def _are_services(services: object) -> bool:
    """Whether this is a list of Services as `ns/name`, at least one. They are shown, and put into commands to copy."""
    return (
        isinstance(services, list)
        and bool(services)
        and _is_text(*services)
        and all(_SERVICE.fullmatch(service) for service in services)
    )


def _is_sound(workload: WorkloadRef, session: str, replicas: object) -> bool:
    """Whether a journal names what it may name: others may write Leases, and paths and commands are made of this."""
    known = (workload.api_version, workload.kind) in (*SCALABLE, SERVICE)
    known = known and _NAME.fullmatch(workload.namespace) is not None
    known = known and (replicas is None or (type(replicas) is int and replicas >= 0))
    return known and _NAME.fullmatch(workload.name) is not None and _SESSION.fullmatch(session) is not None


def _is_owner(owner: Owner) -> bool:
    """Whether all of it is of the kind that it should be: it is compared, and asked for in this machine's processes."""
    texts = _is_text(owner.user, owner.login, owner.machine, owner.pid_namespace)
    return texts and type(owner.uid) is int and type(owner.pid) is int and type(owner.started) in (int, float)


def _selector(content: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a Service selected by; raises ValueError if no Service does, as it is written into commands to copy."""
    pairs = tuple(sorted(content["selector"].items()))
    if content["workload"]["kind"] != SERVICE[1]:
        raise ValueError("only a Service has a selector that is switched")
    if not all(_LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(value) for key, value in pairs):
        raise ValueError("it is no selector")
    return pairs


def _is_text(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def renewed(entry: Entry, now: datetime) -> Entry:
    """The journal with a new `renewTime`, which shows that its owner lives."""
    return replace(entry, renewed=now)


def fingerprint(entry: Entry) -> str:
    """What a journal would have put back where: `apps/v1 Deployment cart: 2`. Others may write Leases, too."""
    ref = entry.workload
    back = entry.replicas if entry.selector is None else words(dict(entry.selector))
    return f"{ref.api_version} {ref.kind} {ref.name}: {back}"


def describe(entry: Entry, now: datetime) -> str:
    """Whose it is: `alice (alice@laptop), since 12:31 UTC, last seen 40 s ago`."""
    seen = max(0, int((now - entry.seen).total_seconds()))
    return f"{entry.owner}, since {entry.since:%Y-%m-%d %H:%M} UTC, last seen {seen} s ago"


def by_hand(entries: Sequence[Entry]) -> str:
    """How to undo a session without this program, in one line."""
    namespace = entries[0].namespace
    scale = [
        f"kubectl scale -n {namespace} {entry.workload.by_hand} --replicas={entry.replicas}"
        for entry in entries
        if entry.replicas is not None
    ]
    switch = [
        f"kubectl set selector -n {namespace} {entry.workload.by_hand} {words(dict(entry.selector))}"
        for entry in entries
        if entry.selector is not None
    ]
    selector = f"-l {SESSION_LABEL}={entries[0].session}"
    return " && ".join([*scale, *switch, f"kubectl delete -n {namespace} pod,secret,lease {selector}"])


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(text: str) -> datetime:
    """The moment of an RFC 3339 time; UTC if it has no zone, which only others than API servers write."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


async def journal_at(api: Api, path: str) -> Entry | None:
    """Fetch the journal at a path of the API; None if there is no such Lease, or it is no journal.

    Raises:
        KubectlError: the API server does not answer.
    """
    lease = await api.find(path)
    return parse(lease) if lease is not None else None


async def journals(api: Api, namespaces: Sequence[str]) -> list[Entry]:
    """Fetch the journals in some namespaces; in all of them if none is named.

    Raises:
        KubectlError: they cannot be listed.
    """
    return parse_all(await candidates(api, namespaces or [""]))


async def candidates(api: Api, namespaces: Sequence[str]) -> list[Json]:
    """The Leases in some namespaces (all of them: an empty name) that may be journals; raises KubectlError."""
    selector = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    lists = await asyncio.gather(*(api.items(GROUP_VERSION, "leases", namespace, selector) for namespace in namespaces))
    return [lease for leases in lists for lease in leases]


def parse_all(leases: Sequence[Json]) -> list[Entry]:
    """Read the journals among these Leases; those that cannot be read are left out."""
    entries = (parse(lease) for lease in leases)
    return sorted((entry for entry in entries if entry is not None), key=lambda entry: entry.path)


def sessions(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Journals by their session, each of which is undone as one."""
    by_session: dict[str, list[Entry]] = {}
    for entry in entries:
        by_session.setdefault(f"{entry.namespace}/{entry.session}", []).append(entry)
    return list(by_session.values())
