"""Keeps a live exposure working: replaces a lost pod, stays connected, and knows what keeps traffic from coming."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.drift import NOTHING_COMES, drift
from kubectl_localize.cluster.exposing.status import is_lost, is_running, trouble
from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.cluster.objects import is_ready
from kubectl_localize.errors import KubectlError, LocalizeError
from kubectl_localize.ls_document import Status
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.supervisor.exposing.journals import Journals
from kubectl_localize.supervisor.exposing.local import LocalEnds
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.exposing.scaled_workloads import ScaledWorkloads
from kubectl_localize.supervisor.exposing.switched_services import SwitchedServices
from kubectl_localize.supervisor.exposing.waiter import Waiter
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.timing import Backoff

LOOK_SECONDS = 2.0
SEEN_SECONDS = 10.0
ENDPOINT_SECONDS = 2.0  # how long the cluster may take to make a Ready pod an endpoint before that is said
RETRY = Backoff(first_seconds=0.3, longest_seconds=5.0)

Pod = dict[str, Any]


@dataclass(frozen=True)
class Health:
    """What `ls` shows of an exposure that lives.

    Args:
        reason: what is wrong; empty if nothing is.
        pause_seconds: when to look again, if nothing changes before.
    """

    status: Status
    reason: str = ""
    pause_seconds: float = LOOK_SECONDS


class Upkeep:
    """See the module; it waits for nothing but the API server."""

    def __init__(
        self,
        plan: ExposurePlan,
        runtime: Runtime,
        *,
        journals: Journals,
        pods: ExposurePods,
        ends: LocalEnds,
        informer: ExposureInformer,
        workloads: ScaledWorkloads,
        switched: SwitchedServices,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._journals = journals
        self._pods = pods
        self._ends = ends
        self._informer = informer
        self._workloads = workloads
        self._switched = switched
        self._failures = 0

    def fired(self) -> str:
        """What the failsafe says if it has brought the workloads back; else empty."""
        pod = self._informer.pods.get(self._pods.name)
        return failsafe.fired(pod) if pod is not None else ""

    async def tend(self, waiter: Waiter, progress: Progress) -> Health:
        """Look once, and mend what can be mended.

        Args:
            waiter: the wait for a new pod ends with it.
            progress: hears of a new pod, and of others who have switched a Service.

        Raises:
            LocalizeError: a journal is gone.
            EndingError: the exposure is to end.
        """
        pod = self._informer.pods.get(self._pods.name)
        if is_lost(pod) and self._runtime.probe.up:
            return await self._replace_pod(pod, waiter, progress)
        if pod is not None and is_running(pod) and self._pods.tunnel is None:
            self._pods.connect()
        await self._pods.disconnect(remaining=self._informer.pods.keys() | {self._pods.name})
        await self._let_others_win(progress)
        return await self._health(pod)

    async def _let_others_win(self, progress: Progress) -> None:
        with contextlib.suppress(KubectlError):  # it is tried again at the next look
            for sentence in await self._switched.let_others_win(self._informer.service):
                progress.step(sentence)

    async def _replace_pod(self, lost: Pod | None, waiter: Waiter, progress: Progress) -> Health:
        old = self._pods.name
        try:
            await self._journals.must_be_there()
            await self._pods.make_pod(seen=lost is not None)
            if lost is not None and not lost["metadata"].get("deletionTimestamp"):
                await self._pods.delete_pod(old)
        except KubectlError as error:
            self._failures += 1
            pause_seconds = RETRY.seconds(self._failures)
            return Health(Status.BACKOFF, f"the exposure pod is gone: {error.message}", pause_seconds)
        self._failures = 0
        progress.step(f"exposure pod {old} is gone, now {self._pods.name}")
        try:
            await waiter.until(
                lambda: self._pods.name in self._informer.pods,
                SEEN_SECONDS,
                hopeless=lambda: False,
                failure=lambda: LocalizeError(f"pod {self._pods.name} is not seen"),
            )
        except LocalizeError as error:
            return Health(Status.BACKOFF, error.message, 0.0)
        return Health(Status.BACKOFF, "the exposure pod is not Ready", 0.0)

    async def _health(self, pod: Pod | None) -> Health:
        tunnel = self._pods.tunnel
        if not self._runtime.probe.up:
            return Health(Status.BACKOFF, "the API server does not answer")
        if pod is None or not is_ready(pod):
            why = trouble(pod)[0] if pod is not None else ""
            broken = tunnel.problem if tunnel is not None else ""
            return Health(Status.BACKOFF, why or broken or "the exposure pod is not Ready")
        return Health(Status.EXPOSED, self._drift(pod) or self._silence() or await self._shared())

    def _silence(self) -> str:
        """On which ports nothing listens here."""
        silent = self._ends.silent()
        return f"nothing listens on {', '.join(port.local for port in silent)}" if silent else ""

    def _drift(self, pod: Pod) -> str:
        """Why traffic of the Services does not come here."""
        for key in self._plan.services:
            if reason := drift(key, self._plan.ports, self._informer.service(key), pod):
                return reason
            missing = self._pods.name not in self._informer.ready(key)
            if missing and self._informer.quiet_seconds > ENDPOINT_SECONDS:
                return f"{NOTHING_COMES}: pod {self._pods.name} is no endpoint of Service {key}"
        return ""

    async def _shared(self) -> str:
        """What others have done to the workloads, and who else gets traffic of the Services."""
        pods = self._informer.others(self._plan.services)
        kept = sorted(pods.intersection(self._plan.kept_pods))
        if self._plan.workloads:
            others = sorted(pods.difference(kept))
            changed = await self._workloads.changed_by_others()
            if others:
                return f"{changed or _named(others)}; traffic is shared"
            if changed:
                return changed
        return f"traffic is shared with pod {', '.join(kept)}" if kept else ""


def _named(pods: Sequence[str]) -> str:
    """Say which pods get traffic: `pod web-a +1 gets traffic, too`."""
    more = f" +{len(pods) - 1}" if len(pods) > 1 else ""
    return f"pod {pods[0]}{more} gets traffic, too"
