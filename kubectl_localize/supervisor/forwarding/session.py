"""All that runs for one selection in one context, from the first list to the last undo."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.selection import nothing_selected
from kubectl_localize.cluster.store import Store
from kubectl_localize.host.addresses import AddressRegistry, validate_range
from kubectl_localize.host.helper_client import HelperError
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.host.resolve import addresses, exists_publicly, top_level_domains
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.host.system import this_system
from kubectl_localize.ls_document import ForwardItem, SupervisorItem
from kubectl_localize.model import HostsState
from kubectl_localize.protocol import StartRequest
from kubectl_localize.supervisor.forwarding.helpers import Helpers, PrivilegeRequest
from kubectl_localize.supervisor.forwarding.hosts_writer import HostsWriter
from kubectl_localize.supervisor.forwarding.informer import Informer
from kubectl_localize.supervisor.forwarding.listener import ListenerConfig
from kubectl_localize.supervisor.forwarding.public_names import PublicNames
from kubectl_localize.supervisor.forwarding.reconciler import Reconciler
from kubectl_localize.supervisor.probe import ApiServerProbe, probe_address
from kubectl_localize.supervisor.processes.credential_gate import CredentialGate
from kubectl_localize.supervisor.processes.pool import Pool
from kubectl_localize.supervisor.processes.port_forward import PortForwarder
from kubectl_localize.supervisor.processes.process import Groups, Spawner
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.supervisor.traffic.binding import PortBinder
from kubectl_localize.supervisor.traffic.relay import ReadBuffer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from kubectl_localize.timing import Clock, Notifier

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.02  # events come in bunches; a bunch is looked at once
REOPEN_SECONDS = 5.0


class Session:
    """Everything behind one StartRequest.

    Args:
        order: what was asked for.
        paths: the files of this user.
        run: the files of this supervisor.
        groups: what ends our children when this process is gone.
        reporter: hears of changes and of what is missing.
    """

    def __init__(self, order: StartRequest, paths: Paths, run: RunPaths, groups: Groups, reporter: Reporter) -> None:
        connection, options = order.connection, order.options
        self.order = order
        self._system = this_system()
        self._dirty = asyncio.Event()
        self._tasks = Tasks()
        self._resources = AsyncExitStack()
        self.changed = Notifier()
        self.buffer = ReadBuffer()
        self._spawner = CredentialGate(Spawner(groups, kubectl.environment(connection, os.environ)))
        self.link = ApiServerProbe(
            probe_address(connection),
            resolve=addresses,
            boot_ahead=self._system.boot_ahead,
            changed=self.changed,
            renewed=self._renewed,
        )
        self._helpers = Helpers(run, options, self._system)
        view = self._view = Store(self._dirty.set)
        self.discovery = Informer(
            connection, order.selection, view, spawn=self._spawner.spawn, reachable=self.link.wait_up
        )  # fmt: skip
        self.pool = Pool(
            forwarder=PortForwarder(connection, self._spawner),
            pods=self.discovery,
            clock=time.monotonic,
            changed=self.changed,
            warn=reporter.warn,
            max_children=options.max_children,
            idle_timeout_seconds=options.idle_timeout_seconds,
        )
        self._peers = self._system.peers()
        self._admission = Admission(self._peers, os.getuid(), everybody=options.allow_other_users)
        self._refusals = RefusalLog()
        config = ListenerConfig(
            pool=self.pool,
            probe=self.link,
            changed=self.changed,
            clock=time.monotonic,
            admission=self._admission,
            refusals=self._refusals,
            wait_timeout_seconds=options.wait_timeout_seconds,
            buffer=self.buffer,
        )
        self.hosts = HostsWriter(
            connection,
            options,
            run.key,
            helpers=self._helpers,
            public_names=PublicNames(exists_publicly, top_level_domains()),
            reporter=reporter,
            clock=Clock(time.monotonic, asyncio.sleep),
            changed=self.changed,
        )
        self.reconciler = Reconciler(
            connection,
            order.selection,
            view,
            key=run.key,
            registry=AddressRegistry(
                paths.addresses, paths.addresses_lock, validate_range(options.ip_range), date.today
            ),
            config=config,
            binder=PortBinder(
                bind_loopback,
                lambda: self._helpers.privileged,
                HelperError,
                self._helpers.add_address if self._system.aliases_loopback else None,
            ),
            hosts=self.hosts,
            now=lambda: datetime.now(UTC),
            reporter=reporter,
        )

    # -- the way up ---------------------------------------------------------------------------------------------------
    async def begin(self) -> PrivilegeRequest:
        """List the cluster and work out what shall run; nothing on this machine is changed yet.

        Raises: LocalizeError where nothing can be listed, or nothing is selected.
        """
        self._resources.callback(self._peers.close)
        self._resources.callback(self._refusals.close)
        self._resources.push_async_callback(self.pool.end)
        self._resources.push_async_callback(self.reconciler.end)
        self._resources.push_async_callback(self.discovery.end)
        await self.discovery.begin()
        specs = self.reconciler.specs()
        if not specs:
            raise nothing_selected(self.order.selection, self.order.connection.context, self._view.keys())
        first = self._helpers.first_unprivileged_port()
        ports = {binding.number for spec in specs for binding in spec.bindings if binding.number < first}
        self._resources.push_async_callback(self._helpers.close)
        await self._helpers.start()
        hosts = self._helpers.needs_root_for_hosts()
        return PrivilegeRequest(hosts, tuple(sorted(ports)), self._helpers.needs_root_for_addresses())

    def needs(self) -> PrivilegeRequest:
        """What is missing now: names that are not written, ports that were moved up."""
        ports = {port for pairs in self.reconciler.moved().values() for port, _ in pairs}
        hosts = self.hosts.state is HostsState.DENIED and self._helpers.root_could_write_hosts()
        return PrivilegeRequest(hosts, tuple(sorted(ports)), self._helpers.needs_root_for_addresses())

    async def open(self) -> list[str]:
        """Bind, listen and write names, then keep all of it true.

        Returns: sentences about what is missing.
        """
        self._resources.push_async_callback(self.hosts.end)
        self._resources.push_async_callback(self._tasks.end)
        await self.reconciler.reconcile()
        self._tasks.start(self.hosts.run(), "names in the hosts file")
        await self.hosts.settled()
        missing = await self.hosts.unresolved()
        self._tasks.start(self._follow(), "following the cluster")
        self._tasks.start(self.link.run(), "probing the API server")
        self._tasks.start(self._reopen(), "opening what could not be opened")
        unresolved = [f"{len(missing)} names do not resolve, such as {missing[0]}"] if missing else []
        return [*self.warnings(), *unresolved]

    async def improve(self) -> list[str]:
        """Do what could not be done before, now that there may be a helper; sentences about what is still missing."""
        await self.reconciler.reopen()
        await self.reconciler.reconcile()
        self.hosts.write_again()
        await self.hosts.settled()
        missing = await self.hosts.unresolved()
        return [*self.warnings(), *(f"the name {name} does not resolve" for name in missing[:1])]

    # -- while it runs ------------------------------------------------------------------------------------------------
    def warnings(self) -> list[str]:
        """What is missing now, a sentence each."""
        if self.hosts.state is not HostsState.DENIED:
            return self._lasting_warnings()
        why = f": {self.hosts.problem}" if self.hosts.problem else ""
        return [
            f"{self.order.options.hosts_file} cannot be written, so names do not resolve{why}",
            *self._lasting_warnings(),
        ]

    def _lasting_warnings(self) -> list[str]:
        """What is missing besides the names, which `ls` tells from `hosts`."""
        sentences = [*self.discovery.warnings, *self.hosts.names.warnings]
        sentences += filter(None, [self._admission.problem])
        moved = self.reconciler.moved()
        if moved:
            key, pairs = next(iter(moved.items()))
            port, local = pairs[0]
            sentences.append(
                f"ports below {self._helpers.first_unprivileged_port()} need sudo; they are moved up, such as"
                f" {key} {port} -> {local}"
                f" ({sum(len(pairs) for pairs in moved.values())} in all)"
            )
        return [*sentences, *self.reconciler.problems(), *self.discovery.problems()]

    async def _follow(self) -> None:
        while True:
            await self._dirty.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._dirty.clear()
            try:
                await self.reconciler.reconcile()
            except Exception:  # one bad object must not end the following of all others
                log.exception("reconcile")
            self.changed.fire()

    async def _reopen(self) -> None:
        while True:
            await asyncio.sleep(REOPEN_SECONDS)
            try:
                await self._helpers.look_after()
                if self.reconciler.problems() and await self.reconciler.reopen():
                    self.changed.fire()
            except Exception:  # it is tried again
                log.exception("what could not be opened")

    def _renewed(self) -> None:
        self.pool.renew()
        self._tasks.start(self.discovery.renew(), "renewing the watches")

    # -- what ls shows, and the way down ------------------------------------------------------------------------------
    def activity(self) -> tuple[int, int]:
        """Two numbers that grow with every change and with every byte."""
        return self.changed.count, self.buffer.reads

    def supervisor_item(self, own: SupervisorItem) -> SupervisorItem:
        """The supervisor in the `ls` document; `own` is what it knows of itself."""
        return replace(
            own,
            context=self.order.connection.context,
            hosts=self.hosts.state,
            children=sum(1 for child in self.pool.live() if child.pid),
            warnings=tuple(self._lasting_warnings()),
        )

    def items(self) -> list[ForwardItem]:
        """The forwards in the `ls` document, by namespace and name."""
        return self.reconciler.items()

    async def end(self) -> None:
        """Undo everything: names first, so that nobody is led to an address where nobody listens."""
        await self._resources.aclose()
