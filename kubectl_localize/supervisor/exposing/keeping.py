"""What the checks say of an exposure that leaves the pods running: its side effects, and how to ask for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing import side_effects
from kubectl_localize.cluster.exposing.ports import flag_value
from kubectl_localize.cluster.exposing.selectors import words
from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.model import PortMap, ServiceKey
from kubectl_localize.protocol import ExposeRequest
from kubectl_localize.supervisor.exposing.plan import RequestedService
from kubectl_localize.supervisor.exposing.switched_services import selector_of

Json = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
POLICIES = "networking.k8s.io/v1"


async def network_policies(api: Api, namespace: str) -> list[Json]:
    """List the NetworkPolicies, for a warning; none if that is forbidden.

    Raises:
        KubectlError: the API server does not answer.
    """
    try:
        return await api.items(POLICIES, "networkpolicies", namespace)
    except ForbiddenError:
        return []


def warnings(all_requested: Sequence[RequestedService], plan: ExposurePlan, policies: Sequence[Json]) -> list[str]:
    """Say what is different while these Services lead to a pod that has other labels than theirs.

    Args:
        all_requested: those that the plan is for, perhaps with others.
        policies: the NetworkPolicies of the namespace.
    """
    said: list[str] = []
    for requested in all_requested:
        if requested.key in plan.services:
            said += side_effects.warnings(requested.key, requested.service, requested.pods) if plan.switched else ()
            said.append(side_effects.guarded_otherwise(policies, requested.pods, dict(plan.labels)))
    return [sentence for sentence in dict.fromkeys(said) if sentence]


def abandoned(key: ServiceKey, service: Json) -> LocalizeError:
    """The error for a Service that was switched by an exposure of which there is no journal any more."""
    annotations = service["metadata"].get("annotations") or {}
    try:
        applied = words(json.loads(annotations[LAST_APPLIED])["spec"]["selector"])
    except (KeyError, TypeError, ValueError, AttributeError):
        applied = "KEY=VALUE"
    return LocalizeError(
        f"{key} selects {words(selector_of(service))}, the pod of an exposure that is gone",
        f"`kubectl set selector -n {key.namespace} service/{key.name} {applied}` makes it select its own pods again",
    )


def with_command(error: LocalizeError, request: ExposeRequest) -> LocalizeError:
    """The same error, whose hint names what was asked for, so that the command in it can be typed as it is."""
    arguments = [
        *(str(key) for key in request.services),
        *(f"--map={_whose(port_map)}{flag_value(port_map)}" for port_map in request.maps),
    ]
    hint = error.hint.replace("expose SERVICE --keep", f"expose {' '.join(arguments)} --keep")
    if request.command:
        hint = hint.replace(" --keep`", " --keep -- COMMAND`")
    return error.reworded(error.message, hint) if hint != error.hint else error


def _whose(port_map: PortMap) -> str:
    return f"{port_map.service}=" if port_map.service else ""
