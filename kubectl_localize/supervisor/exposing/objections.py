"""Raises what speaks against scaling workloads away; with `--force`, warns of what may be overruled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.blockers import KEEP, Blocker, blockers, foreign
from kubectl_localize.cluster.exposing.endpoints import bereft, loss, published_early, unselected
from kubectl_localize.cluster.exposing.readmission import as_pod, refused_now
from kubectl_localize.cluster.exposing.rollouts import unfinished
from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.cluster.exposing.workloads import owned
from kubectl_localize.errors import KubectlError, LocalizeError
from kubectl_localize.protocol import ExposeRequest
from kubectl_localize.supervisor.exposing.plan import RequestedService

Json = dict[str, Any]


class Objections:
    """Judges what the checks have found.

    Attributes:
        warnings: what will happen though it speaks against the exposure, a sentence each.
    """

    def __init__(self, api: Api, request: ExposeRequest) -> None:
        self._api = api
        self._request = request
        self.warnings: list[str] = []

    async def judge_workloads(self, requested: RequestedService, autoscalers: Sequence[Json]) -> None:
        """Judge what is scaled down for a Service.

        Args:
            autoscalers: the HorizontalPodAutoscalers of its namespace.

        Raises:
            LocalizeError: something speaks against it.
        """
        if not requested.pods:
            raise LocalizeError(
                f"{requested.key} has no pods, so there is nothing to replace",
                f"see `kubectl get pods -n {requested.key.namespace}`; {KEEP}",
            )
        blocker = foreign(requested.owners)
        against = [blocker] if blocker is not None else []
        for workload in requested.owners.workloads:
            against += blockers(workload, autoscalers)
            pods = [pod for pod in requested.replaced_pods if owned(workload, pod)]
            if (blocker := unfinished(workload, pods)) is not None:
                against.append(blocker)
        for blocker in sorted(against, key=lambda blocker: blocker.forcible):
            self._object(blocker)
        await self._must_be_readmitted(requested)

    async def _must_be_readmitted(self, requested: RequestedService) -> None:
        """Try out the workloads' pods: those that admission refuses by now would not come back."""
        for workload in requested.owners.workloads:
            example = next((pod for pod in requested.replaced_pods if owned(workload, pod)), None)
            if example is None:
                continue
            path = f"/api/v1/namespaces/{requested.key.namespace}/pods"
            try:
                await self._api.create(path, as_pod(workload, example), dry_run=True)
            except KubectlError as error:
                if (blocker := refused_now(workload, error)) is not None:
                    self._object(blocker)

    def judge_endpoints(
        self,
        all_requested: Sequence[RequestedService],
        plans: Sequence[ExposurePlan],
        services: Sequence[Json],
        slices: Sequence[Json],
    ) -> None:
        """Judge what becomes of the endpoints of all Services of a namespace.

        Args:
            plans: for those that were asked for.
            slices: the EndpointSlices of the namespace.

        Raises:
            LocalizeError: something speaks against it.
        """
        served = {name for exposure_plan in plans for name in exposure_plan.found_by}
        going = {name for exposure_plan in plans for name in exposure_plan.replaced_pods}
        selected = {pod["metadata"]["name"] for requested in all_requested for pod in requested.pods}
        workloads = [workload.ref for exposure_plan in plans for workload in exposure_plan.workloads]
        if also := unselected(workloads, going, selected):
            self.warnings.append(also)
        if lost := bereft(slices, going, served):
            self._object(loss(lost, workloads, plans[0].namespace))
        joined = [service for service in services if service["metadata"]["name"] in served]
        if not self._request.keep and (blocker := published_early(joined)) is not None:
            self._object(blocker)

    def _object(self, blocker: Blocker) -> None:
        if blocker.forcible and self._request.force:
            self.warnings.append(blocker.message)
        else:
            raise LocalizeError(blocker.message, blocker.hint)
