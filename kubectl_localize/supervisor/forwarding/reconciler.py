"""Compares what the cluster has with what runs, and makes what runs equal to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from kubectl_localize.cluster.store import Store
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.addresses import AddressRegistry
from kubectl_localize.ls_document import ForwardItem
from kubectl_localize.model import Service, ServiceKey
from kubectl_localize.supervisor.forwarding.dns_names import Named
from kubectl_localize.supervisor.forwarding.external_names import alias_spec, dead_end, destination
from kubectl_localize.supervisor.forwarding.forward import Forward, wanted_addresses
from kubectl_localize.supervisor.forwarding.holds import Hold, Holds
from kubectl_localize.supervisor.forwarding.hosts_writer import HostsWriter
from kubectl_localize.supervisor.forwarding.listener import ListenerConfig
from kubectl_localize.supervisor.forwarding.pod_ports import PodPorts
from kubectl_localize.supervisor.forwarding.spec import ForwardSpec, difference, forward_spec, portless_spec
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.supervisor.traffic.binding import PortBinder
from kubectl_localize.timing import all_of

log = logging.getLogger(__name__)

_MOST_ALIKE = 3


class Reconciler:
    """All forwards of a supervisor.

    Args:
        context: the context's name.
        holds: which of its Services are forwarded.
        store: what the cluster has.
        key: the context's key in the registry of addresses.
        registry: gives Services and pods their addresses.
        config: what listeners share.
        binder: binds their sockets.
        hosts: is told what is forwarded, and writes the names in its own time.
        now: the wall clock, in UTC.
        reporter: hears of changes.
        pod_ports: knows the ports of the pods of a Service that has none itself.
        cluster_domain: ends the names by which an ExternalName may lead to another Service.
    """

    def __init__(
        self,
        context: str,
        holds: Holds,
        store: Store,
        *,
        key: str,
        registry: AddressRegistry,
        config: ListenerConfig,
        binder: PortBinder,
        hosts: HostsWriter,
        now: Callable[[], datetime],
        reporter: Reporter,
        pod_ports: PodPorts,
        cluster_domain: str,
    ) -> None:
        self._context = context
        self._holds = holds
        self._store = store
        self._key = key
        self._registry = registry
        self._config = config
        self._binder = binder
        self._hosts = hosts
        self._now = now
        self._reporter = reporter
        self._pod_ports = pod_ports
        self._cluster_domain = cluster_domain
        self._chains: dict[ServiceKey, frozenset[ServiceKey]] = {}  # on which Services those of ExternalName depend
        self._missing: dict[ServiceKey, str] = {}  # the namespaces in which they lead to what is not known
        self._forwards: dict[ServiceKey, Forward] = {}
        self._specs: dict[ServiceKey, ForwardSpec] = {}
        self._addresses: dict[str, str] = {}
        self._busy = asyncio.Lock()
        self._begun = False
        self._problem = ""

    def specs(self) -> list[ForwardSpec]:
        """Work out what shall run, from what the store has now."""
        dirty = self._store.take_dirty()
        for key in dirty | {key for key, chain in self._chains.items() if chain & dirty}:
            try:
                self._specify(key)
            except Exception:  # one bad object must not keep the others from being followed
                log.exception("what shall run for %s", key)
        return list(self._specs.values())

    def _specify(self, key: ServiceKey) -> None:
        service = self._store.service(key)
        self._chains.pop(key, None)
        self._missing.pop(key, None)
        terms = self._holds.note(key, service)
        if service is None or terms is None:
            self._specs.pop(key, None)
        else:
            self._specs[key] = replace(self._spec(service), terms=terms)

    def preview(self, hold: Hold) -> list[ForwardSpec]:
        """What will run for a hold as soon as it is active."""
        services = (service for service in self._store.services.objects.values() if hold.selects(service))
        return [self._spec(service) for service in services]

    def led_to(self, hold: Hold) -> set[str]:
        """The namespaces in which Services of type ExternalName that a hold wants lead to what is not known."""
        services = {key: self._store.service(key) for key in self._missing}
        return {self._missing[key] for key, service in services.items() if service and hold.selects(service)}

    def look_again(self) -> None:
        """Work everything out anew at the next `reconcile`, as other Services are wanted now."""
        self._store.mark_all()

    def _spec(self, service: Service) -> ForwardSpec:
        """What shall run for a Service, and what is still to be found out for that."""
        if service.type == "ExternalName":
            return self._alias(service)
        slices = self._store.slices(service.key)
        if service.headless and not service.ports:
            pods = {endpoint.pod for endpoint_slice in slices for endpoint in endpoint_slice.endpoints}
            return portless_spec(service, slices, self._pod_ports.of(service.key, pods))
        return forward_spec(service, slices)

    def _alias(self, service: Service) -> ForwardSpec:
        end = destination(service, self._store.service, self._cluster_domain)
        self._chains[service.key] = frozenset(end.chain)
        if end.missing is not None:
            self._missing[service.key] = end.missing.namespace
        if end.service is None:
            return dead_end(service, end.reason)
        return alias_spec(service, self._spec(end.service), end.pod)

    def follow(self) -> None:
        """Let new connections go to the endpoints that the cluster has now; nothing is waited for."""
        for spec in self.specs():
            forward = self._forwards.get(spec.key)
            if forward is not None and forward.spec != spec:
                forward.follow(spec)

    async def reconcile(self, first_port: int = 0) -> None:
        """Make what runs equal to what the cluster has.

        Endpoints come first, then what has its addresses already: another process may hold the registry for a while.

        Args:
            first_port: leave Services alone that have a port below this one.
        """
        self.follow()
        async with self._busy:
            changed = [
                spec.key
                for spec in self.specs()
                if self._applied(spec.key) != spec and all(binding.number >= first_port for binding in spec.bindings)
            ]
            for key in [key for key in self._forwards if key not in self._specs]:
                await self._forwards.pop(key).close()
                if self._store.service(key) is None:
                    self._reporter.change(f"{key}: the Service is gone", key)
                else:
                    log.info("%s: nobody wants it any more", key)
            new = await self._apply(changed)
            self._problem = ""
            if new:
                self._tell_others()
                await self._assign_addresses()
                await self._apply(new)
            self._tell_others()
            self._begun = not first_port

    async def reopen(self) -> bool:
        """Try again what could not be bound or had no address; whether anything changed."""
        if self._problem:
            await self.reconcile()
            return not self._problem
        async with self._busy:
            changed = any([await forward.reopen() for forward in list(self._forwards.values())])
            self._tell_others()  # another user may have come or gone
            return changed

    async def end(self) -> None:
        """Close everything."""
        async with self._busy:
            forwards = list(self._forwards.values())
            self._forwards.clear()
            await all_of(*(forward.close() for forward in forwards))

    # -- what ls shows ------------------------------------------------------------------------------------------------
    def items(self) -> list[ForwardItem]:
        """The forwards in the `ls` document, by namespace and name."""
        names = {line.address: line.names for line in self._hosts.names.lines}
        return [self._forwards[key].item(self._context, names) for key in sorted(self._forwards)]

    def problems(self) -> list[str]:
        """What keeps ports from being listened on, a sentence each."""
        missing = [self._problem] if self._problem else []
        of_ports = [problem for forward in self._forwards.values() for problem in forward.problems()]
        return [*missing, *shortened(of_ports)]

    def moved(self) -> dict[ServiceKey, Sequence[tuple[int, int]]]:
        """Services with ports that had to be moved up: pairs of port and local port."""
        moved = {key: forward.moved() for key, forward in self._forwards.items()}
        return {key: ports for key, ports in moved.items() if ports}

    def runs(self, key: ServiceKey) -> bool:
        """Whether a Service is forwarded already."""
        return key in self._forwards

    # -- steps of reconcile -------------------------------------------------------------------------------------------
    def _applied(self, key: ServiceKey) -> ForwardSpec | None:
        forward = self._forwards.get(key)
        return forward.applied if forward is not None else None

    def _has_addresses(self, spec: ForwardSpec) -> bool:
        return self._addresses.keys() >= set(wanted_addresses(spec))

    async def _assign_addresses(self) -> None:
        names = [name for spec in self._specs.values() for name in wanted_addresses(spec)]
        try:
            self._addresses = await self._registry.assign(self._key, names)
        except LocalizeError as error:
            self._problem = f"no addresses for new Services and pods: {error.message}"
            log.warning("%s", self._problem)

    async def _apply(self, keys: Sequence[ServiceKey]) -> list[ServiceKey]:
        """Make Services run as they shall by now, which may have changed since the call: `follow` goes on meanwhile.

        Returns:
            Those that have no addresses yet.
        """
        without_addresses = []
        for key in keys:
            spec = self._specs.get(key)
            if spec is None:
                continue
            if not self._has_addresses(spec):
                without_addresses.append(key)
                continue
            try:
                await self._apply_one(spec)
            except Exception:  # the others are to run all the same
                log.exception("%s", key)
        return without_addresses

    async def _apply_one(self, spec: ForwardSpec) -> None:
        before = self._applied(spec.key)
        if self._begun and (text := difference(before, spec)):
            self._reporter.change(f"{spec.key}: {text}", spec.key)
        if spec.key not in self._forwards:
            self._forwards[spec.key] = Forward(spec, self._config, self._binder, self._now())
        await self._forwards[spec.key].apply(spec, self._addresses)

    def _tell_others(self) -> None:
        """Let the pool and the hosts file know what is forwarded now; neither is waited for."""
        self._config.pool.keep(target for forward in self._forwards.values() for target in forward.targets())
        self._config.pool.look_after(lambda target: not self._store.has_pod(target.namespace, target.pod))
        self._hosts.forward(self._named(), self._holds.claims)

    def _named(self) -> list[Named]:
        named = []
        for key, forward in self._forwards.items():
            if not (address := forward.address()) or not self._holds.has_names(key):
                continue
            if not forward.leads_astray():
                named.append(Named(key, address))
            for pod in forward.spec.pods:
                if (pod_address := forward.address(pod.label)) and not forward.leads_astray(pod.label):
                    named.append(Named(key, pod_address, pod.label))
        return named


def shortened(problems: Sequence[str]) -> list[str]:
    """The problems of ports, with one sentence for more than three that differ in their Service only.

    Args:
        problems: such as `shop/web: too many open files`.
    """
    by_reason: dict[str, list[str]] = {}
    for problem in problems:
        by_reason.setdefault(problem.partition(": ")[2], []).append(problem)
    return [
        text
        for reason, same in by_reason.items()
        for text in (same if len(same) <= _MOST_ALIKE else [f"{len(same)} ports, such as one of {same[0]}"])
    ]
