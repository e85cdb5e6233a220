"""The checks before anything is changed: what is exposed, which workloads are replaced, what speaks against it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_localize.cluster.exposing import rights, selectors, side_effects
from kubectl_localize.cluster.exposing.claims import exposed_already
from kubectl_localize.cluster.exposing.journal import Entry, journals
from kubectl_localize.cluster.exposing.pull_secrets import pull_secrets
from kubectl_localize.cluster.exposing.values import (
    SESSION_CHARACTERS,
    SESSION_LABEL,
    SESSION_LENGTH,
    ExposurePlan,
)
from kubectl_localize.cluster.exposing.workloads import Owners, counts, likely_kinds, owners, pods_of
from kubectl_localize.cluster.selection import near
from kubectl_localize.errors import ForbiddenError, KubectlError, LocalizeError
from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.model import ServiceKey
from kubectl_localize.protocol import ExposeRequest
from kubectl_localize.supervisor.exposing import keeping
from kubectl_localize.supervisor.exposing.listening import LocalListeners, warning
from kubectl_localize.supervisor.exposing.objections import Objections
from kubectl_localize.supervisor.exposing.plan import RequestedService, as_workload, groups, plan
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.supervisor.exposing.switched_services import selector_of
from kubectl_localize.supervisor.runtime import Runtime

log = logging.getLogger(__name__)
GUESS_SECONDS = 3.0
Json = dict[str, Any]
Rules = asyncio.Task[list[Json]]  # awaited only when they are needed

NOBODY = Owners((), ())
RBAC_HINT = "docs/rbac.yaml of kubectl localize is the Role to ask an admin for"


@dataclass(frozen=True)
class Findings:
    """What the checks have found out.

    Args:
        plans: one for each group of Services that share workloads.
        user: the API server's name for us; empty if it does not say.
        warnings: what is missing but does not stop it.
        not_carried: sentences about ports that stay without an endpoint.
        programs: what listens here for the exposed ports, as far as that is known.
    """

    plans: tuple[ExposurePlan, ...]
    user: str
    warnings: tuple[str, ...]
    not_carried: tuple[str, ...]
    programs: tuple[str, ...] = ()


class Checks:
    """The checks for one ExposeRequest.

    Args:
        judge: says what to do about a session that holds what we want.
    """

    def __init__(self, runtime: Runtime, request: ExposeRequest, judge: Judge) -> None:
        self._api = runtime.api
        self._listeners = LocalListeners(runtime.system)
        self._request = request
        self._judge = judge
        self._objections = Objections(runtime.api, request)
        self._warnings: list[str] = []
        self._not_carried: list[str] = []

    async def run(self) -> Findings:
        """Check everything.

        Raises:
            LocalizeError: something speaks against it; nothing has been changed.
        """
        try:
            return await self._run()
        except LocalizeError as error:
            raise keeping.with_command(error, self._request) from error

    async def _run(self) -> Findings:
        namespaces = sorted({key.namespace for key in self._request.services})
        user, plans = await asyncio.gather(
            rights.who(self._api), asyncio.gather(*(self._namespace(namespace) for namespace in namespaces))
        )
        exposure_plans = tuple(plan for namespace_plans in plans for plan in namespace_plans)
        programs: list[str] = []
        if not self._request.command:
            for exposure_plan in exposure_plans:
                self._must_listen(exposure_plan)
            asked = [port for exposure_plan in exposure_plans for port in exposure_plan.ports if port.asked]
            programs = await in_daemon_thread(lambda: self._listeners.programs(asked), "programs that listen")
            self._warnings += await in_daemon_thread(lambda: self._listeners.loops(asked), "port-forwards that listen")
        return Findings(
            exposure_plans,
            user,
            (*self._objections.warnings, *self._warnings),
            tuple(dict.fromkeys(self._not_carried)),
            tuple(dict.fromkeys(programs)),
        )

    async def _namespace(self, namespace: str) -> list[ExposurePlan]:
        # The search asks one question after the other, so all else is asked for meanwhile.
        rules = asyncio.create_task(rights.granted(self._api, namespace))
        scaling = asyncio.create_task(self._autoscalers(namespace))
        holding = asyncio.create_task(self._journals(namespace))
        serving = asyncio.create_task(self._endpoint_slices(namespace))
        guarding = asyncio.create_task(self._network_policies(namespace))
        try:
            services, all_requested = await self._search(namespace, rules)
            granted, autoscalers, leases, slices, policies = await asyncio.gather(
                rules, scaling, holding, serving, guarding
            )
        finally:
            for task in (rules, scaling, holding, serving, guarding):
                task.cancel()
            await asyncio.gather(rules, scaling, holding, serving, guarding, return_exceptions=True)
        kinds = {workload.ref.kind for requested in all_requested for workload in requested.owners.workloads}
        own = await self._judge_rights(namespace, () if self._keeps else kinds, granted)
        self._judge_journals(all_requested, leases)
        for requested in all_requested if not self._keeps else ():
            await self._objections.judge_workloads(requested, autoscalers)
        plans = [self._plan(group, services, own_failsafe=own) for group in groups(all_requested)]
        self._objections.judge_endpoints(all_requested, plans, services, slices)
        for requested in all_requested:
            self._warnings += side_effects.reach(requested.key, requested.service)
        for exposure_plan in plans if self._keeps else ():
            self._warnings += keeping.warnings(all_requested, exposure_plan, policies)
        return plans

    def _plan(self, group: Sequence[RequestedService], services: Sequence[Json], *, own_failsafe: bool) -> ExposurePlan:
        session = "".join(secrets.choice(SESSION_CHARACTERS) for _ in range(SESSION_LENGTH))
        made, not_carried = plan(self._request, group, services, session=session, own_failsafe=own_failsafe)
        self._not_carried += not_carried
        return made

    async def _autoscalers(self, namespace: str) -> list[Json]:
        """List the HorizontalPodAutoscalers; none if that is forbidden, which the check of rights tells."""
        try:
            return await self._api.items("autoscaling/v2", "horizontalpodautoscalers", namespace)
        except ForbiddenError:
            return []

    async def _endpoint_slices(self, namespace: str) -> list[Json]:
        """List the EndpointSlices; none if that is forbidden, which the check of rights tells."""
        try:
            return await self._api.items("discovery.k8s.io/v1", "endpointslices", namespace)
        except ForbiddenError:
            return []

    async def _network_policies(self, namespace: str) -> list[Json]:
        return await keeping.network_policies(self._api, namespace) if self._keeps else []

    async def _journals(self, namespace: str) -> list[Entry]:
        try:
            return await journals(self._api, [namespace])
        except ForbiddenError:
            return []

    # -- whose pods ---------------------------------------------------------------------------------------------------
    async def _search(self, namespace: str, rules: Rules) -> tuple[list[Json], list[RequestedService]]:
        """All Services of a namespace, and what is behind those that were asked for."""
        try:
            services = await self._api.items("v1", "services", namespace)
        except ForbiddenError:
            await self._judge_rights(namespace, (), await rules)  # which says it in the words of a role
            raise
        keys = [key for key in self._request.services if key.namespace == namespace]
        return services, await asyncio.gather(*(self._find(key, services, rules) for key in keys))

    async def _near(self, key: ServiceKey, services: Sequence[Json]) -> str:
        """What to do about a name that no Service has: perhaps it is in another namespace, if that may be asked."""
        try:
            async with asyncio.timeout(GUESS_SECONDS):
                services = await self._api.items("v1", "services", "")
        except (KubectlError, TimeoutError):
            log.info("%s: the Services of other namespaces cannot be listed", key)
        known = [ServiceKey(service["metadata"]["namespace"], service["metadata"]["name"]) for service in services]
        similar = near(key.name, known, (key.namespace,))
        if similar:
            return f"did you mean {similar}?"
        return f"`kubectl get services -n {key.namespace}` lists those that exist"

    async def _find(self, key: ServiceKey, services: Sequence[Json], rules: Rules) -> RequestedService:
        service = next((item for item in services if item["metadata"]["name"] == key.name), None)
        if service is None:
            hint = await self._near(key, services)
            raise LocalizeError(f"there is no Service {key.name} in namespace {key.namespace}", hint)
        selector = (service["spec"] or {}).get("selector") or {}
        if service["spec"].get("type") == "ExternalName":
            raise LocalizeError(
                f"{key} is of type ExternalName, so there is nothing that could be replaced",
                "expose a Service that has a selector",
            )
        if not selector:
            raise LocalizeError(
                f"{key} has no selector, so no pod can take its traffic",
                "`kubectl get services -A -o wide` shows which Services have a selector",
            )
        labels = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
        pods: list[Json] = []
        try:
            selected = await self._api.items("v1", "pods", key.namespace, labels)
            pods += [pod for pod in selected if not _session(pod) and counts(pod)]
            # With --keep no workload is asked for, and no right to it is needed.
            behind = NOBODY if self._request.keep else await owners(self._api, key.namespace, pods)
            replaced, secrets_of_images = await asyncio.gather(
                pods_of(self._api, key.namespace, selector, pods, behind),
                pull_secrets(self._api, key.namespace, pods, self._request.failsafe_service_account),
            )
        except ForbiddenError:
            await self._judge_rights(key.namespace, likely_kinds(pods), await rules)
            raise
        sessions = frozenset(map(_session, selected)) - {""}
        return RequestedService(key, service, tuple(pods), behind, sessions, tuple(replaced), secrets_of_images)

    @property
    def _keeps(self) -> bool:
        """Whether the workloads are left running."""
        return self._request.keep or self._request.share

    # -- rights and colleagues ----------------------------------------------------------------------------------------
    @property
    def _own_failsafe(self) -> bool:
        request = self._request
        return bool(request.failsafe_seconds) and not request.failsafe_service_account and not request.share

    async def _judge_rights(self, namespace: str, kinds: Collection[str], rules: Sequence[Json]) -> bool:
        """Check the user's rights.

        Returns:
            Whether they suffice to make a ServiceAccount for the failsafe.

        Raises:
            ForbiddenError: a right is missing that exposing cannot do without.
        """
        command, switch = self._request.command, self._request.keep
        needed = set(rights.needed(command, False, kinds, switch))
        wanted = rights.needed(command, self._own_failsafe, kinds, switch)
        lacking = await rights.missing(self._api, namespace, wanted, rules)
        refused = [right for right in lacking if right in needed]
        if refused:
            words = ", ".join(rights.describe(right, namespace) for right in refused)
            raise ForbiddenError(f"you may not {words}", RBAC_HINT)
        if lacking:
            words = ", ".join(rights.describe(right, namespace) for right in lacking)
            self._warnings.append(
                f"no failsafe: you may not {words}, so if"
                " this machine vanishes, only `kubectl localize restore` puts everything back;"
                " --failsafe-service-account names one that an admin made, --failsafe off ends this warning"
            )
        return self._own_failsafe and not lacking

    def _judge_journals(self, all_requested: Sequence[RequestedService], leases: Sequence[Entry]) -> None:
        for requested in all_requested:
            wanted = {as_workload(requested.key), *(workload.ref for workload in requested.owners.workloads)}
            holders = [entry for entry in leases if entry.workload in wanted or _concerns(entry, requested)]
            if holders:
                held = [entry for entry in leases if entry.session == holders[0].session]
                raise exposed_already(requested.key, held, self._judge.now(), self._judge.advice)
            if selectors.is_abandoned(selector_of(requested.service)):
                raise keeping.abandoned(requested.key, requested.service)

    def _must_listen(self, exposure_plan: ExposurePlan) -> None:
        """Refuse if nothing at all listens for a Service; warn of ports that nothing listens for."""
        verdict = self._listeners.verdict(exposure_plan.ports, exposure_plan.services)
        for key, port in verdict.unserved:
            several = sum(key in dict(other.services) for other in exposure_plan.ports) > 1
            if not self._request.force:
                raise self._listeners.refusal(key, port, several)
        self._warnings += [warning(port) for port in verdict.silent]


def _concerns(entry: Entry, requested: RequestedService) -> bool:
    """Whether a journal speaks of this Service, or of one that finds its pods again when it is switched back."""
    if str(requested.key) in entry.services or entry.session in requested.sessions:
        return True
    if entry.selector is None:
        return False
    wanted = dict(entry.selector).items()
    return any(wanted <= (pod["metadata"].get("labels") or {}).items() for pod in requested.replaced_pods)


def _session(pod: Json) -> str:
    """The session that an exposure pod belongs to; empty for any other pod."""
    return str((pod["metadata"].get("labels") or {}).get(SESSION_LABEL) or "")
