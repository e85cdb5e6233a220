"""The way back, in the order that leaves no gap: it needs only the journals, so it works after any crash as well.

Scale up, wait until Ready and the endpoints quiet, delete the exposure pods, the Secret (and what it owns), the Lease.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from enum import Enum
from functools import partial
from typing import Any

from kubectl_localize.cluster import objects
from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import Entry, by_hand, journal_at
from kubectl_localize.cluster.exposing.selectors import words
from kubectl_localize.cluster.exposing.values import SESSION_LABEL, WorkloadRef, object_name
from kubectl_localize.cluster.exposing.workloads import counts
from kubectl_localize.cluster.objects import SERVICE_NAME_LABEL
from kubectl_localize.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidError,
    KubectlError,
    LocalizeError,
    NotFoundError,
)
from kubectl_localize.supervisor.exposing.comeback import Comeback
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.exposing.switched_services import put_back, selector_of
from kubectl_localize.timing import Clock

log = logging.getLogger(__name__)

Json = dict[str, Any]

LATE_SECONDS = 60.0  # an API server gives up a request after that time, and TCP tries again sooner
LATE_LOOK_SECONDS = 1.0
QUIET_SECONDS = 1.0  # kube-proxy syncs at most once a second
LOOK_SECONDS = 0.1  # between two looks at what nobody tells us of; each is a request or two of some milliseconds
RETRY_SECONDS = 0.3  # after one that has failed
READY_SECONDS = 120.0
GONE_SECONDS = 60.0
AWAY_SECONDS = 20.0  # how long a step may fail before the way back is left to `restore`
SCALE_UP_SECONDS = 60.0  # the same for what matters most, by a server that has answered just before
REFUSALS = (ForbiddenError, InvalidError, BadRequestError)  # asking once more would not change the answer
UNSERVED_GRACE_SECONDS = 1  # nobody sends to a pod that is not Ready


class _Taken(Enum):
    """What became of a workload, or of a Service that was switched."""

    BY_US = "by us"
    BEFORE = "before"  # by somebody else, by the failsafe, by an attempt that was killed, or it had never been at zero
    UNTOUCHED = "untouched"  # there is none, or it was left running


class Rollback:
    """Undoes one session.

    Args:
        entries: the session's journals, at least one.
        progress: hears what has been done, and what others have changed meanwhile.
        unanswered: what was to be scaled down or switched by a request that nobody has answered. It may still arrive.
        patient: whether a step that fails is tried again for a while; if not, the caller begins anew later.

    Attributes:
        pods_go: whether the exposure pods are being deleted, as nobody needs them any more.
    """

    def __init__(
        self,
        api: Api,
        entries: Sequence[Entry],
        clock: Clock,
        progress: Progress,
        *,
        unanswered: Collection[WorkloadRef] = (),
        patient: bool = True,
    ) -> None:
        self._api = api
        self._entries = list(entries)
        self._clock = clock
        self._progress = progress
        self._session = entries[0].session
        self._namespace = entries[0].namespace
        self._patient = patient
        self._unanswered = frozenset(unanswered)
        self.pods_go = False

    async def run(self) -> list[Comeback]:
        """Undo everything; what is done already is left alone.

        Returns:
            What is back, and whether all of its pods are Ready.

        Raises:
            LocalizeError: something could not be undone. The journals stay then, for `restore`.
        """
        mine = [entry for entry in self._entries if not await self._patiently(partial(self._is_anothers, entry))]
        pods = await self._patiently(self._pods)
        outcomes = await self._take_all_back(mine)
        for number, entry in enumerate(mine):
            if entry.workload in self._unanswered and outcomes[number] is _Taken.BEFORE:
                outcomes[number] = await self._outlast(entry)
        comebacks = [
            await self._comeback(entry, awaited=outcome is _Taken.BY_US or not self._patient)
            for entry, outcome in zip(mine, outcomes, strict=True)
            if outcome is not _Taken.UNTOUCHED
        ]
        if pods:
            served = {key for comeback in comebacks if comeback.will_serve for key in comeback.services}
            await self._wait_quiet({pod["metadata"]["name"] for pod in pods}, served)
        self.pods_go = True
        await self._delete_pods()
        await self._patiently(self._delete_secret)
        for entry in mine:
            await self._patiently(partial(self._delete_lease, entry))
        return comebacks

    # -- the steps ----------------------------------------------------------------------------------------------------
    async def _take_all_back(self, entries: Sequence[Entry]) -> list[_Taken]:
        """Scale up each workload and switch back each Service, also if that failed for one before it.

        Raises:
            KubectlError: the first failure, when all of them were tried.
        """
        outcomes, failures = list[_Taken](), list[KubectlError]()
        for entry in entries:
            try:
                outcomes.append(await self._patiently(partial(self._take_back, entry), SCALE_UP_SECONDS))
            except KubectlError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return outcomes

    async def _take_back(self, entry: Entry) -> _Taken:
        if entry.selector is not None:
            return await self._switch_back(entry.workload, dict(entry.selector))
        if entry.replicas is not None:
            return await self._scale_up(entry, entry.replicas)
        return _Taken.UNTOUCHED

    async def _switch_back(self, service: WorkloadRef, original: dict[str, str]) -> _Taken:
        is_changed, item = await put_back(self._api, service, original, self._session)
        if item is None:
            self._progress.step(f"{service} is gone: somebody has deleted it")
            return _Taken.UNTOUCHED
        current = selector_of(item)
        if current != original:
            self._progress.step(f"{service} selects {words(current) or 'nothing'} now: somebody else has changed it")
        elif is_changed:
            self._progress.step(f"{service} selects {words(current)} again")
        return _Taken.BY_US if is_changed else _Taken.BEFORE

    async def _scale_up(self, entry: Entry, wanted: int) -> _Taken:
        workload = entry.workload
        try:
            replicas = await self._api.scale(workload, 0, wanted, uid=entry.uid)
        except NotFoundError:
            self._progress.step(f"{workload} is gone: somebody has deleted it")
            return _Taken.UNTOUCHED
        if replicas == 0:
            self._progress.step(f"{workload} scaled up to {wanted}")
            return _Taken.BY_US
        if replicas == wanted:
            self._progress.step(f"{workload} is at {replicas} already")
        else:
            self._progress.step(f"{workload} stays at {replicas}: somebody else has scaled it (it had {wanted})")
        return _Taken.BEFORE

    async def _outlast(self, entry: Entry) -> _Taken:
        """Wait until a request to take the traffic that nobody has answered cannot arrive any more; undo it if it does.

        It was sent for the object as it was, so whatever has changed that since has made it void. We have no way to:
        a scale or a selector that is written as it was changes nothing.
        """
        self._progress.doing(f"waiting whether the request to change {entry.workload} still arrives")
        began = self._clock.now()
        while self._clock.now() - began < LATE_SECONDS:
            try:
                came = await self._patiently(partial(self._undo_late, entry))
            except NotFoundError:
                return _Taken.UNTOUCHED
            if came:
                self._progress.step(f"{entry.workload} is as it was again: the request to change it came late")
                return _Taken.BY_US
            await self._clock.sleep(LATE_LOOK_SECONDS)
        return _Taken.BEFORE

    async def _undo_late(self, entry: Entry) -> bool:
        """Whether the request has arrived by now, and had to be undone."""
        if entry.selector is not None:
            is_changed, _ = await put_back(self._api, entry.workload, dict(entry.selector), self._session)
            return is_changed
        return await self._api.scale(entry.workload, 0, entry.replicas or 0, uid=entry.uid) == 0

    async def _comeback(self, entry: Entry, *, awaited: bool) -> Comeback:
        """How many pods of a workload or a Service are Ready.

        Args:
            awaited: whether to wait until all are; also if our pod is gone, as the user wants to hear of Ready pods.
        """
        if entry.selector is not None:
            pods = await self._patiently(partial(self._selected, entry.workload))
            services = (f"{entry.namespace}/{entry.workload.name}",)
            return Comeback(services, entry.workload, sum(map(objects.is_ready, pods)), len(pods), awaited=False)
        ready, wanted = await (self._wait_ready(entry) if awaited else self._count(entry))
        return Comeback(entry.services, entry.workload, ready, wanted, awaited=awaited)

    async def _selected(self, service: WorkloadRef) -> list[Json]:
        """The pods that a Service selects by now, but for ours and those that end."""
        item = await self._api.find(service.path)
        selector = selector_of(item) if item is not None else {}
        pods = await self._api.items("v1", "pods", self._namespace, words(selector)) if selector else []
        return [pod for pod in pods if counts(pod) and SESSION_LABEL not in (pod["metadata"].get("labels") or {})]

    async def _count(self, entry: Entry) -> tuple[int, int]:
        """How many pods of a workload are Ready, and how many it asks for, as it looks now; it may be gone."""
        workload = await self._patiently(lambda: self._api.find(entry.workload.path))
        if workload is None:
            return 0, 0
        wanted = int(workload["spec"].get("replicas") or 0)
        ready = int((workload.get("status") or {}).get("readyReplicas") or 0)
        return ready if _is_observed(workload) else 0, wanted

    async def _wait_ready(self, entry: Entry) -> tuple[int, int]:
        """Wait until as many pods are Ready as the workload now asks for; returns as `_count`."""
        began = self._clock.now()
        while True:
            ready, wanted = await self._count(entry)
            if ready >= wanted:
                self._progress.step(f"{entry.workload}: {ready} of {wanted} pods Ready")
                return ready, wanted
            self._progress.doing(f"waiting for the pods of {entry.workload}: {ready} of {wanted} Ready")
            if self._clock.now() - began > READY_SECONDS:
                self._progress.missed(
                    f"{entry.workload}: only {ready} of {wanted} pods Ready after {READY_SECONDS:.0f} s; going on"
                )
                return ready, wanted
            await self._clock.sleep(LOOK_SECONDS)

    async def _wait_quiet(self, ours: set[str], served: set[str]) -> None:
        """Wait until the endpoints have not changed for long enough that kube-proxy knows them.

        Args:
            ours: the exposure pods.
            served: the Services (`ns/name`) that have to have another endpoint by then.
        """
        names = sorted({service.partition("/")[2] for entry in self._entries for service in entry.services})
        selector = f"{SERVICE_NAME_LABEL} in ({','.join(names)})"
        seen: Any = None
        self._progress.doing("waiting until the cluster sends to these pods")
        began = quiet_since = self._clock.now()
        while self._clock.now() - quiet_since < QUIET_SECONDS:
            slices = await self._patiently(
                lambda: self._api.items("discovery.k8s.io/v1", "endpointslices", self._namespace, selector)
            )
            now = sorted((item["metadata"]["name"], item["metadata"]["resourceVersion"]) for item in slices)
            unserved = served - {
                str(endpoint_slice.service)
                for endpoint_slice in map(objects.endpoint_slice, slices)
                if endpoint_slice is not None and any(endpoint.pod not in ours for endpoint in endpoint_slice.endpoints)
            }
            if unserved and self._clock.now() - began >= GONE_SECONDS:
                names_of = ", ".join(sorted(unserved))
                self._progress.missed(f"{names_of}: only our pod is an endpoint after {GONE_SECONDS:.0f} s; going on")
                served, unserved = set(), set()
            if now != seen or unserved:
                seen, quiet_since = now, self._clock.now()
            await self._clock.sleep(LOOK_SECONDS)

    async def _pods(self) -> list[Json]:
        return await self._api.items("v1", "pods", self._namespace, f"{SESSION_LABEL}={self._session}")

    async def _delete_pods(self) -> None:
        """Delete the exposure pods and wait until their objects are gone: until then ssh has to stay."""
        began = self._clock.now()
        asked: set[str] = set()
        while pods := await self._patiently(self._pods):
            self._progress.doing(f"the exposure pod {pods[0]['metadata']['name']} is ending")
            for pod in pods:
                meta = pod["metadata"]
                if meta["uid"] not in asked:
                    asked.add(meta["uid"])
                    grace = None if objects.is_ready(pod) else UNSERVED_GRACE_SECONDS
                    path = f"/api/v1/namespaces/{self._namespace}/pods/{meta['name']}"
                    await self._patiently(partial(self._api.delete, path, uid=meta["uid"], grace_seconds=grace))
            if self._clock.now() - began > GONE_SECONDS:
                raise LocalizeError(
                    f"pod {pods[0]['metadata']['name']} does not go away",
                    f"see `kubectl describe pod -n {self._namespace} {pods[0]['metadata']['name']}`",
                )
            await self._clock.sleep(LOOK_SECONDS)
        if asked:
            self._progress.step("exposure pod deleted")

    async def _delete_secret(self) -> None:
        name = object_name(self._session)
        await self._api.delete(f"/api/v1/namespaces/{self._namespace}/secrets/{name}")

    async def _delete_lease(self, entry: Entry) -> None:
        current = await journal_at(self._api, entry.path)
        if current is not None and current.session == self._session:
            await self._api.delete(entry.path, uid=current.lease_uid)

    async def _is_anothers(self, entry: Entry) -> bool:
        """Whether another session holds the workload now: somebody has undone ours by hand, or it was never written."""
        current = await journal_at(self._api, entry.path)
        return current is not None and current.session != self._session

    async def _patiently(self, step: Callable[[], Awaitable[Any]], seconds: float = AWAY_SECONDS) -> Any:
        """One step, tried again as long as the API server is away, in trouble, or changes what we change.

        Raises:
            KubectlError: that lasts longer than `seconds`, or the API server refuses.
        """
        began = self._clock.now()
        while True:
            try:
                return await step()
            except KubectlError as error:
                refused = isinstance(error, REFUSALS)
                if refused or not self._patient or self._clock.now() - began > seconds:
                    raise self._given_up(error, for_good=refused) from error
                log.info("the way back: %s", error.message)
                self._progress.doing(f"trying again: {error.message}")
            await self._clock.sleep(RETRY_SECONDS)

    def _given_up(self, error: KubectlError, *, for_good: bool) -> KubectlError:
        """The same error, which now says what it means for the workloads, and what to do."""
        names = ", ".join(str(entry.workload) for entry in self._entries)
        if isinstance(error, ForbiddenError):
            hint = f"ask somebody with these rights to run: {by_hand(self._entries)}"
        else:
            when = "" if for_good else " when the API server works again"
            switched = any(entry.selector is not None for entry in self._entries)
            state = "lead to an exposure pod" if switched else "be at zero"
            hint = f"run `kubectl localize restore`{when}; until then they may {state}"
        return type(error)(f"{names} could not be brought back: {error.message}", hint)


def _is_observed(workload: Json) -> bool:
    """Whether the workload's status is about its newest spec: its controller has observed that generation."""
    generation = workload["metadata"].get("generation") or 0
    return int((workload.get("status") or {}).get("observedGeneration") or 0) >= int(generation)
