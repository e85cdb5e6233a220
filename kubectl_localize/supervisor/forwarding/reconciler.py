"""Compares what the cluster has with what runs, and makes what runs equal to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from kubectl_localize.cluster.selection import selected
from kubectl_localize.cluster.store import Store
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.addresses import AddressRegistry
from kubectl_localize.ls_document import ForwardItem
from kubectl_localize.model import Connection, HostsState, Selection, ServiceKey
from kubectl_localize.supervisor.forwarding.dns_names import Named
from kubectl_localize.supervisor.forwarding.forward import Forward, address_name, pods_in_words, wanted_addresses
from kubectl_localize.supervisor.forwarding.hosts_writer import Naming
from kubectl_localize.supervisor.forwarding.listener import ListenerConfig
from kubectl_localize.supervisor.forwarding.spec import ForwardSpec, plan
from kubectl_localize.supervisor.traffic.binding import PortBinder

log = logging.getLogger(__name__)


class Reconciler:
    """All forwards of a supervisor.

    Args:
        key: the context's key in the registry of addresses.
        now: the wall clock, in UTC.
        say: takes a line for people about a change worth knowing.
    """

    def __init__(
        self,
        connection: Connection,
        selection: Selection,
        view: Store,
        *,
        key: str,
        registry: AddressRegistry,
        config: ListenerConfig,
        binder: PortBinder,
        naming: Naming,
        now: Callable[[], datetime],
        say: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._selection = selection
        self._view = view
        self._key = key
        self._registry = registry
        self._config = config
        self._binder = binder
        self._naming = naming
        self._now = now
        self._say = say
        self._forwards: dict[ServiceKey, Forward] = {}
        self._plans: dict[ServiceKey, ForwardSpec] = {}
        self._addresses: dict[str, str] = {}
        self._busy = asyncio.Lock()
        self._begun = False
        self._problem = ""

    def selected(self) -> list[ForwardSpec]:
        """What shall run, by what the cluster has now; what has changed since the last look is looked at."""
        for key in self._view.take_dirty():
            service = self._view.service(key)
            if service is None or not selected(service, self._selection, self._connection.namespace):
                self._plans.pop(key, None)
            else:
                self._plans[key] = plan(service, self._view.slices(key))
        return list(self._plans.values())

    async def reconcile(self) -> None:
        """Make what runs equal to what the cluster has."""
        async with self._busy:
            self.selected()
            changed = [wanted for key, wanted in self._plans.items() if self._running_plan(key) != wanted]
            for key in [key for key in self._forwards if key not in self._plans]:
                await self._forwards.pop(key).close()
                self._say(f"{key}: the Service is gone")
            for wanted in changed:
                self._tell(self._running_plan(wanted.key), wanted)
                if wanted.key not in self._forwards:
                    self._forwards[wanted.key] = Forward(wanted, self._config, self._binder, self._now())
            await self._open(changed)
            await self._naming.apply(self._named(), list(self._forwards))
            self._begun = True

    def _running_plan(self, key: ServiceKey) -> ForwardSpec | None:
        forward = self._forwards.get(key)
        return forward.applied if forward is not None else None

    async def _open(self, changed: Sequence[ForwardSpec]) -> None:
        names = [name for wanted in self._plans.values() for name in wanted_addresses(wanted)]
        self._problem = ""
        if not self._addresses.keys() >= set(names):
            try:
                self._addresses = await self._registry.assign(self._key, names)
            except LocalizeError as error:
                self._problem = f"no addresses for new Services and pods: {error.message}"
                log.warning("%s", self._problem)
        for wanted in changed:
            if not self._addresses.keys() >= set(wanted_addresses(wanted)):
                if not self._addresses.keys() >= {address_name(wanted.key)}:
                    del self._forwards[wanted.key]  # nothing of it runs yet; it is new again next time
                continue
            await self._forwards[wanted.key].apply(wanted, self._addresses)
        self._config.pool.keep(target for forward in self._forwards.values() for target in forward.targets())
        self._config.pool.look_after(lambda target: not self._view.has_pod(target.namespace, target.pod))

    async def reopen(self) -> bool:
        """Try again what could not be bound or had no address; whether anything changed."""
        if self._problem:
            await self.reconcile()
            return not self._problem
        async with self._busy:
            return any([await forward.reopen() for forward in list(self._forwards.values())])

    async def recover_names(self) -> bool:
        """Write the names again where somebody else has taken them out of the hosts file; whether that was so."""
        async with self._busy:
            if not self._naming.lost():
                return False
            await self._naming.apply(self._named(), list(self._forwards))
            written = self._naming.state is HostsState.WRITTEN
            again = "they are written again" if written else f"they cannot be written again: {self._naming.problem}"
            self._say(f"{self._naming.hosts_file} had lost our names; {again}")
            return True

    async def end(self) -> None:
        """Close everything."""
        async with self._busy:
            await asyncio.gather(*(forward.close() for forward in self._forwards.values()))
            self._forwards.clear()

    def items(self) -> list[ForwardItem]:
        """The items of the `ls` document, by namespace and name."""
        names = {line.address: line.names for line in self._naming.names.lines}
        return [
            self._forwards[key].item(self._connection.context, names) for key in sorted(self._forwards)
        ]  # fmt: skip

    def problems(self) -> list[str]:
        """What keeps ports from being listened on, a sentence each."""
        missing = [self._problem] if self._problem else []
        return [*missing, *(problem for forward in self._forwards.values() for problem in forward.problems())]

    def moved(self) -> dict[ServiceKey, Sequence[tuple[int, int]]]:
        """Services with ports that had to be moved up: pairs of port and local port."""
        return {key: forward.moved() for key, forward in self._forwards.items() if forward.moved()}

    def _named(self) -> list[Named]:
        named = []
        for key, forward in self._forwards.items():
            if forward.address():
                named.append(Named(key, forward.address()))
                named += [
                    Named(key, forward.address(pod.label), pod.label)
                    for pod in forward.plan.pods
                    if forward.address(pod.label)
                ]  # fmt: skip
        return named

    def _tell(self, before: ForwardSpec | None, after: ForwardSpec) -> None:
        if not self._begun or after.skipped:
            return
        if before is None:
            self._say(f"{after.key}: a new Service")
            return
        gone = sorted({found.pod for found in before.endpoints} - {found.pod for found in after.endpoints})
        now = pods_in_words(after.endpoints)
        if before.service.ports != after.service.ports:
            self._say(f"{after.key}: its ports have changed")
        elif gone and now:
            self._say(f"{after.key}: {_pods_are(gone)} gone, now {now}")
        elif gone:
            self._say(f"{after.key}: {_pods_are(gone)} gone, no Ready pod")
        elif now and not before.endpoints:
            self._say(f"{after.key}: {_pods_are(sorted({found.pod for found in after.endpoints}))} Ready")


def _pods_are(pods: Sequence[str]) -> str:
    """`pod a is`, `pods a, b are`."""
    return f"pods {', '.join(pods)} are" if len(pods) > 1 else f"pod {pods[0]} is"
