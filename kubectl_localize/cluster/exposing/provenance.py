"""What every object of an exposure says of itself: whose it is, from where, since when, and how to undo it by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubectl_localize.cluster.exposing.values import MANAGED_BY, MANAGED_BY_LABEL, SESSION_LABEL, ExposurePlan

Json = dict[str, Any]


@dataclass(frozen=True)
class Provenance:
    """What a colleague who finds the objects wants to know.

    Args:
        owner: the API's user.
        origin: from where, `alice@laptop`.
        since: when it began, as RFC 3339 has it.
        undo: commands that undo it without this program.
    """

    owner: str
    origin: str
    since: str
    undo: str


def metadata(plan: ExposurePlan, name: str, about: Provenance, secret: tuple[str, str] | None = None) -> Json:
    """The metadata of an object of ours.

    Args:
        secret: name and uid of the Secret that owns it, as its controller; None for the Secret itself.
    """
    meta: Json = {
        "name": name,
        "namespace": plan.namespace,
        "labels": {MANAGED_BY_LABEL: MANAGED_BY, SESSION_LABEL: plan.session},
        "annotations": {
            "kubectl-localize/owner": about.owner,
            "kubectl-localize/from": about.origin,
            "kubectl-localize/since": about.since,
            "kubectl-localize/undo": about.undo,
        },
    }
    if secret:
        # Without blockOwnerDeletion, which would ask for a right on the Secret's finalizers.
        owner = {"apiVersion": "v1", "kind": "Secret", "name": secret[0], "uid": secret[1], "controller": True}
        meta["ownerReferences"] = [owner]
    return meta
