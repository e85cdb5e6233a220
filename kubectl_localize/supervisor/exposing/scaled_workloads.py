"""The workloads that an exposure replaces: scales them down, and knows which of them have to be scaled up again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.journal import Entry
from kubectl_localize.cluster.exposing.values import Workload, WorkloadRef
from kubectl_localize.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubectlError,
    LocalizeError,
    NotFoundError,
    UnauthorizedError,
)
from kubectl_localize.supervisor.exposing.waiter import Waiter
from kubectl_localize.timing import Clock

ASK_SECONDS = 2.0
ANSWERS = (ForbiddenError, UnauthorizedError, InvalidError, BadRequestError, NotFoundError)  # it was not done


class ScaledWorkloads:
    """See the module.

    Attributes:
        unanswered: those that were to be scaled down, by a request whose answer was lost. It may still be on its way.
    """

    def __init__(self, api: Api, workloads: Sequence[Workload], clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._asked_at = float("-inf")
        self._changed = ""
        self._workloads = tuple(workloads)
        self._scaled: set[WorkloadRef] = set()
        self.unanswered: set[WorkloadRef] = set()

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
            except KubectlError as error:
                if not isinstance(error, ANSWERS):
                    self.unanswered.add(workload.ref)
                raise
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

    async def changed_by_others(self) -> str:
        """Say what others have made of them meanwhile: another count, or their end; empty if all is as we left it.

        It is asked for every 2 s at most, however often this is called, since nobody tells us.
        """
        now = self._clock.now()
        if now - self._asked_at >= ASK_SECONDS:
            self._asked_at = now
            self._changed = await self._ask()
        return self._changed

    async def _ask(self) -> str:
        gone, counts = list[str](), list[str]()
        for workload in self._workloads:
            try:
                scale = await self._api.get(f"{workload.ref.path}/scale")
            except NotFoundError:
                gone.append(str(workload.ref))
                continue
            except KubectlError:
                continue
            count = int((scale.get("spec") or {}).get("replicas") or 0)
            if (scale["metadata"].get("uid") or workload.uid) != workload.uid:
                gone.append(str(workload.ref))
            elif count:
                counts.append(str(count))
        if gone:
            return f"{', '.join(gone)} was deleted by others and will not be brought back"
        return f"scaled to {', '.join(counts)} by others" if counts else ""

    def to_undo(self, entries: Sequence[Entry]) -> list[Entry]:
        """The journals, as the way back is to take them: one that we have not scaled down is not ours to scale up.

        It may be at zero all the same: a colleague wanted that while we were on the way up.
        """
        return [entry if entry.workload in self._scaled else replace(entry, replicas=None) for entry in entries]
