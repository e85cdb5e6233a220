"""The workloads that an exposure replaces: scales them down, and knows which of them have to be scaled up again."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.values import Workload, WorkloadRef
from kubectl_localize.errors import ConflictError, KubectlError, LocalizeError
from kubectl_localize.supervisor.exposing.waiter import Waiter


class ScaledWorkloads:
    """See the module."""

    def __init__(self, api: Api, workloads: Sequence[Workload]) -> None:
        self._api = api
        self._workloads = tuple(workloads)
        self._scaled: set[WorkloadRef] = set()

    @property
    def names(self) -> str:
        """Their names."""
        return ", ".join(str(workload.ref) for workload in self._workloads)

    async def scale_down(self, waiter: Waiter) -> str:
        """Scale all of them to zero, each only if it still has the replicas that the checks saw.

        Args:
            waiter: the exposure's.

        Returns:
            What was done, in a sentence.

        Raises:
            EndingError: the exposure is to end.
            LocalizeError: somebody else scales or changes one of them.
            KubectlError: the API server does not answer, or refuses it.
        """
        for workload in self._workloads:
            waiter.go_on()
            self._scaled.add(workload.ref)  # before it is done: if the answer is lost, it may have been
            try:
                replicas = await self._scale_down(workload)
            except ConflictError:
                replicas = -1
            if replicas != workload.replicas:
                self._scaled.discard(workload.ref)
                raise LocalizeError(
                    f"somebody else is scaling {workload.ref} right now",
                    "try again when its replica count stays the same",
                )
        return ", ".join(f"{workload.ref} ({workload.replicas})" for workload in self._workloads) + " scaled down"

    async def _scale_down(self, workload: Workload) -> int:
        """Scale one to zero; the replicas that it had, which are others than the checks saw if it was not scaled.

        Raises:
            LocalizeError: a rollout has begun since the checks, so scaling would not bring back what they saw.
            ConflictError: it was changed at the same moment.
            KubectlError: anything else.
        """
        try:
            await self._api.scale_as_seen(workload.ref, 0, uid=workload.uid, version=workload.version)
        except ConflictError:  # it has changed since, perhaps only its status
            current = await self._api.get(workload.ref.path)
            seen, now = (item["metadata"].get("generation") for item in (workload.object, current))
            if now != seen and int(current["spec"].get("replicas") or 0) == workload.replicas:
                self._scaled.discard(workload.ref)
                raise LocalizeError(
                    f"somebody else has changed {workload.ref} just now",
                    f"try again after `kubectl rollout status -n {workload.ref.namespace} {workload.ref.by_hand}`",
                ) from None
            return await self._api.scale(workload.ref, workload.replicas, 0, uid=workload.uid)
        return workload.replicas

    async def scaled_by_others(self) -> str:
        """Say to which count others have scaled them meanwhile; empty if they are at zero or it cannot be asked."""
        counts = []
        for workload in self._workloads:
            with contextlib.suppress(KubectlError):
                scale = await self._api.get(f"{workload.ref.path}/scale")
                counts.append(int((scale.get("spec") or {}).get("replicas") or 0))
        scaled = [str(count) for count in counts if count]
        return f"scaled to {', '.join(scaled)} by others; traffic is shared" if scaled else ""

    def to_undo(self, entries: Sequence[Entry]) -> list[Entry]:
        """The journals, as the way back is to take them: one that we have not scaled down is not ours to scale up.

        It may be at zero all the same: a colleague wanted that while we were on the way up.
        """
        return [entry if entry.workload in self._scaled else replace(entry, replicas=None) for entry in entries]
