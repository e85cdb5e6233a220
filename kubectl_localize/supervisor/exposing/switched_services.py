"""The Services whose selectors an exposure switches to its pod, and how a selector is put back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubectl_localize.cluster.api import FIELD_MANAGER, Api
from kubectl_localize.cluster.exposing import selectors
from kubectl_localize.cluster.exposing.selectors import Selector
from kubectl_localize.cluster.exposing.values import SwitchedService, WorkloadRef
from kubectl_localize.errors import ConflictError, KubectlError, LocalizeError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.scaled_workloads import ANSWERS
from kubectl_localize.supervisor.exposing.waiter import Waiter

log = logging.getLogger(__name__)

Json = dict[str, Any]

ATTEMPTS = 5  # each after somebody else has changed the Service in between


class SwitchedServices:
    """See the module.

    Args:
        session: whose pod they are switched to.

    Attributes:
        unanswered: those that were to be switched, by a request whose answer was lost. It may still be on its way.
    """

    def __init__(self, api: Api, services: Sequence[SwitchedService], session: str) -> None:
        self._api = api
        self._services = tuple(services)
        self._session = session
        self.unanswered: set[WorkloadRef] = set()

    @property
    def names(self) -> str:
        """Their names."""
        return ", ".join(str(service.ref) for service in self._services)

    async def switch(self, waiter: Waiter) -> str:
        """Switch all of them, each only if it still has the selector that the checks saw.

        Args:
            waiter: the exposure's.

        Returns:
            What was done, in a sentence.

        Raises:
            EndingError: the exposure is to end.
            LocalizeError: somebody else has changed the selector of one of them.
            KubectlError: the API server does not answer, or refuses it.
        """
        for service in self._services:
            waiter.go_on()
            await self._switch(service)
        return f"{self.names} switched to the exposure pod"

    async def _switch(self, service: SwitchedService) -> None:
        original = dict(service.selector)
        wanted = selectors.switched(original, self._session)
        uid, version = service.uid, service.version
        for _ in range(ATTEMPTS):
            try:
                changed = await self._api.patch(service.ref.path, _change(uid, version, wanted))
            except ConflictError:  # it has changed since, perhaps not its selector
                item = await self._api.find(service.ref.path)
            except KubectlError as error:
                if not isinstance(error, ANSWERS):
                    self.unanswered.add(service.ref)
                raise
            else:
                await _disown(self._api, service.ref, changed)
                return
            if item is None or item["metadata"]["uid"] != uid:
                raise LocalizeError(f"{service.ref} is gone: somebody has deleted it")
            current = selector_of(item)
            if current != original:
                now = selectors.words(current) or "nothing"
                raise LocalizeError(f"somebody else has just changed {service.ref}: it selects {now}", "try again")
            version = item["metadata"]["resourceVersion"]
        raise LocalizeError(f"somebody else changes {service.ref} all the time", "try again when that is over")

    async def let_others_win(self, find: Callable[[ServiceKey], Json | None]) -> list[str]:
        """Put back the rest of each selector of which somebody else has changed a part: it finds no pod as it is.

        Args:
            find: a Service as it is by now.

        Returns:
            What was done, a sentence for each Service.

        Raises:
            KubectlError: the API server does not answer, or refuses it.
        """
        said = []
        for service in self._services:
            original, item = dict(service.selector), find(ServiceKey(service.ref.namespace, service.ref.name))
            current = selector_of(item) if item is not None else {}
            if not selectors.is_marked(current, self._session):
                continue
            if current == selectors.switched(original, self._session):
                continue
            is_changed, item = await put_back(self._api, service.ref, original, self._session)
            if is_changed and item is not None:
                now = selectors.words(selector_of(item))
                said.append(f"somebody else has changed the selector of {service.ref}, which is {now} now")
        return said


async def put_back(api: Api, ref: WorkloadRef, original: Selector, session: str) -> tuple[bool, Json | None]:
    """Put a Service's selector back, all of it that still is a session's.

    Args:
        ref: the Service.
        original: its selector as it was.

    Returns:
        Whether anything had to be put back, and the Service as it is now; None if it is gone.

    Raises:
        ConflictError: others change it all the time.
        KubectlError: the API server does not answer, or refuses it.
    """
    attempt = 1
    while True:
        item = await api.find(ref.path)
        if item is None:
            return False, None
        current = selector_of(item)
        if not selectors.is_marked(current, session):
            return False, item
        wanted = selectors.put_back(current, original, session)
        meta = item["metadata"]
        try:
            item = await api.patch(ref.path, _change(meta["uid"], meta["resourceVersion"], wanted))
        except ConflictError:
            if attempt == ATTEMPTS:
                raise
            log.info("%s changes while its selector is put back", ref)
        else:
            await _disown(api, ref, item)
            return True, item
        attempt += 1


async def _disown(api: Api, ref: WorkloadRef, item: Json) -> None:
    """Leave a Service's selector to whoever applies it on the server, which would otherwise be a conflict with us.

    Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts

    Args:
        item: the Service as the change of its selector has left it.
    """
    meta = item["metadata"]
    managers = meta.get("managedFields") or []
    others = [entry for entry in managers if entry.get("manager") != FIELD_MANAGER]
    if len(others) == len(managers):
        return
    change = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "managedFields": others or [{}]}
    try:
        await api.patch(ref.path, {"metadata": change})
    except KubectlError as error:  # it works without
        log.info("the fields of %s stay ours: %s", ref, error.message)


def selector_of(item: Json) -> dict[str, str]:
    """The selector of a Service; empty if it has none."""
    return dict((item.get("spec") or {}).get("selector") or {})


def _change(uid: str, version: str, selector: Mapping[str, str]) -> Json:
    """The merge patch that gives a selector's keys these values, if nobody has changed the Service since."""
    return {"metadata": {"uid": uid, "resourceVersion": version}, "spec": {"selector": dict(selector)}}
