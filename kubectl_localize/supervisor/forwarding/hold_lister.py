"""Lists the cluster for a hold, before anything of it runs: what it selects, and what that leads to and depends on."""

from __future__ import annotations

import logging
from typing import Protocol

from kubectl_localize.cluster.selection import find_unmatched, nothing_selected, said_unmatched
from kubectl_localize.cluster.store import Store
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import Selection, ServiceKey
from kubectl_localize.supervisor.forwarding.holds import Hold
from kubectl_localize.supervisor.forwarding.informer import Coverage
from kubectl_localize.supervisor.forwarding.pod_ports import PodPorts
from kubectl_localize.supervisor.forwarding.reconciler import Reconciler
from kubectl_localize.supervisor.forwarding.spec import ForwardSpec
from kubectl_localize.timing import first_of

log = logging.getLogger(__name__)

PORTS_SECONDS = 5.0  # how long a start waits to hear which ports pods have; the others come when they are known


class Covers(Protocol):
    """The part of `informer.Informer` that this module uses."""

    async def cover(self, selection: Selection, namespace: str) -> Coverage: ...

    async def services_elsewhere(self) -> list[ServiceKey]: ...


class HoldLister:
    """Finds out what will run for a hold.

    Args:
        context: the context's name, for errors.
        store: what the cluster has, as far as it is followed.
        informer: lists and follows namespaces.
        reconciler: works out what will run.
        pod_ports: is waited for.
    """

    def __init__(
        self, context: str, store: Store, informer: Covers, reconciler: Reconciler, pod_ports: PodPorts
    ) -> None:
        self._context = context
        self._store = store
        self._informer = informer
        self._reconciler = reconciler
        self._pod_ports = pod_ports

    async def list(self, hold: Hold) -> list[ForwardSpec]:
        """List what a hold wants, and follow it from now on.

        Returns:
            What will run for it.

        Raises:
            LocalizeError: nothing can be listed, or that is nothing.
        """
        coverage = await self._informer.cover(hold.asked, hold.namespace)
        hold.namespaces, hold.warnings = coverage.namespaces, coverage.warnings
        self._reconciler.preview(hold)
        await self.follow_external_names(hold)
        await first_of(self._pod_ports.settled(), timeout_seconds=PORTS_SECONDS)
        specs = self._reconciler.preview(hold)
        unmatched = find_unmatched(hold.asked, hold.namespace, self._store.keys())
        if specs and not unmatched:
            return specs
        known = await self._informer.services_elsewhere()
        if not specs:
            raise nothing_selected(hold.asked, hold.namespace, self._context, known)
        said = (said_unmatched(name, hold.asked, hold.namespace, known) for name in unmatched)
        hold.unmatched = tuple(said)
        return specs

    async def follow_external_names(self, hold: Hold) -> None:
        """Follow the namespaces, too, into which ExternalNames lead that a hold wants, as far as that is allowed."""
        while "" not in hold.namespaces and (new := self._reconciler.led_to(hold) - hold.led_to):
            hold.led_to |= new
            for namespace in sorted(new):
                try:
                    await self._informer.cover(Selection(namespaces=(namespace,)), namespace)
                except LocalizeError as error:
                    log.info("an ExternalName leads into namespace %s: %s", namespace, error.message)
                else:
                    hold.namespaces = (*hold.namespaces, namespace)
            self._reconciler.preview(hold)
