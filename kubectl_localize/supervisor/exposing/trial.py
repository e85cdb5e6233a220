"""Finds out by dry runs which manifests of an exposure the API server and its admission plugins take."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Coroutine, Iterator
from dataclasses import replace
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing import pod
from kubectl_localize.cluster.exposing.refusals import is_refusal, refused
from kubectl_localize.cluster.exposing.shape import followed_options, followed_uid, shapes
from kubectl_localize.errors import KubectlError
from kubectl_localize.supervisor.exposing.manifests import Manifests
from kubectl_localize.timing import all_of

log = logging.getLogger(__name__)

Json = dict[str, Any]

NO_UID_YET = "00000000-0000-0000-0000-000000000000"


@contextlib.contextmanager
def refusals(namespace: str, kind: str) -> Iterator[None]:
    """Say of an object that is refused what helps.

    Args:
        kind: the object's.
    """
    try:
        yield
    except KubectlError as error:
        if not is_refusal(error):
            raise
        raise refused(error, namespace, kind) from error


async def try_out(api: Api, manifests: Manifests, pod_name: str) -> Manifests:
    """Ask whether all objects would be taken; nothing is made.

    What admission wants otherwise is done so far as the replaced pods have it.

    Returns:
        Manifests that are taken.

    Raises:
        KubectlError: they object to something, with a hint at what helps; or the API server does not answer.
    """
    taken = await _secret(api, manifests)  # first: the labels that it needs are the other objects', too
    await all_of(*_account(api, taken))
    return await _pod(api, taken, pod_name)


async def _secret(api: Api, manifests: Manifests) -> Manifests:
    return await _first(
        api,
        "Secret",
        f"{manifests.core}/secrets",
        [(way, way.secret()) for way in (manifests, manifests.with_options(followed_options(manifests.plan)))],
    )


async def _pod(api: Api, manifests: Manifests, name: str) -> Manifests:
    """Find the shape and the user that are taken."""
    uids = dict.fromkeys((pod.UID, None, followed_uid(manifests.plan) or None))
    ways = [replace(manifests, shape=shape, uid=uid) for shape in shapes(manifests.plan) for uid in uids]
    return await _first(api, "Pod", f"{manifests.core}/pods", [(way, _on_trial(way, name)) for way in ways])


def _account(api: Api, manifests: Manifests) -> list[Coroutine[Any, Any, Manifests]]:
    """Try out the failsafe's ServiceAccount and Role; a RoleBinding of a Role that is not there yet only admins may."""
    if not manifests.has_own_account:
        return []
    objects = (
        ("ServiceAccount", f"{manifests.core}/serviceaccounts", manifests.service_account(NO_UID_YET)),
        ("Role", f"{manifests.rbac}/roles", manifests.role(NO_UID_YET)),
    )
    return [_first(api, kind, path, [(manifests, manifest)]) for kind, path, manifest in objects]


async def _first(api: Api, kind: str, path: str, ways: list[tuple[Manifests, Json]]) -> Manifests:
    """The first of several ways that is taken.

    Raises:
        KubectlError: none is; the refusal of the first one, which is ours, tells most.
    """
    refusal: KubectlError | None = None
    for way, manifest in ways:
        try:
            answer = await api.create(path, manifest, dry_run=True)
        except KubectlError as error:
            if not is_refusal(error):
                raise
            log.debug("%s is refused: %s", kind, error.message)
            refusal = refusal or error
            continue
        uid = way.uid
        if uid is None:  # admission assigns user numbers (OpenShift); if it has not, it would have taken ours
            uid = _given_uid(answer)
            if uid is None:
                continue
        if refusal is not None:
            log.info("%s follows the replaced pods, as ours was refused: %s", kind, refusal.message)
        return replace(way, uid=uid)
    assert refusal is not None
    raise refused(refusal, ways[0][0].plan.namespace, kind) from refusal


def _on_trial(manifests: Manifests, name: str) -> Json:
    """The pod's manifest for a dry run, without the ServiceAccount that does not exist yet."""
    manifest = manifests.pod(name, "", NO_UID_YET)
    if manifests.has_own_account:
        del manifest["spec"]["serviceAccountName"]
    return manifest


def _given_uid(answer: Json) -> int | None:
    spec = answer["spec"]
    places = [
        spec.get("securityContext") or {},
        *((container.get("securityContext") or {}) for container in spec["containers"]),
    ]
    return next((int(place["runAsUser"]) for place in places if place.get("runAsUser") is not None), None)
