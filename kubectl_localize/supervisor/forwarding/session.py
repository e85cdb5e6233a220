"""All that runs for one selection in one context, from the first list to the last undo."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.selection import nothing_selected
from kubectl_localize.cluster.store import Store
from kubectl_localize.host.addresses import AddressRegistry, validate_range
from kubectl_localize.host.helper_server import Helper, HelperError, HelperServer, helper_argv
from kubectl_localize.host.paths import Paths, RunPaths
from kubectl_localize.host.resolve import addresses, exists_publicly, top_level_domains
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.host.system import this_system
from kubectl_localize.ls_document import ForwardItem, SupervisorItem
from kubectl_localize.model import HostsState, Options
from kubectl_localize.protocol import StartRequest
from kubectl_localize.supervisor.forwarding.hosts_writer import Naming
from kubectl_localize.supervisor.forwarding.informer import Informer
from kubectl_localize.supervisor.forwarding.listener import ListenerConfig
from kubectl_localize.supervisor.forwarding.privileges import PrivilegeRequest
from kubectl_localize.supervisor.forwarding.reconciler import Reconciler
from kubectl_localize.supervisor.forwarding.unprivileged_helper import UnprivilegedHelper
from kubectl_localize.supervisor.probe import ApiServerProbe, probe_address
from kubectl_localize.supervisor.processes.credential_gate import CredentialGate
from kubectl_localize.supervisor.processes.pool import Pool
from kubectl_localize.supervisor.processes.port_forward import PortForwarder
from kubectl_localize.supervisor.processes.process import Groups, Spawner
from kubectl_localize.supervisor.traffic.binding import PortBinder
from kubectl_localize.supervisor.traffic.relay import ReadBuffer
from kubectl_localize.supervisor.traffic.server import Admission, RefusalLog
from kubectl_localize.timing import Notifier

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.02  # events come in bunches; a bunch is looked at once
REOPEN_SECONDS = 5.0
NAMES_SECONDS = 2.0  # between two looks at the hosts file


class Session:
    """Everything behind one order.

    Args:
        groups: what ends our children when this process is gone.
        say: takes a line about a change worth knowing.
        warn: takes a sentence about something that is missing.
    """

    def __init__(
        self,
        order: StartRequest,
        paths: Paths,
        run: RunPaths,
        groups: Groups,
        *,
        say: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        connection, options = order.connection, order.options
        self.order = order
        self._hosts_by_root = options.hosts_file == Options().hosts_file
        self._warn = warn
        self._system = this_system()
        self._dirty = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
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
        self._sudo = HelperServer(run.helper_socket, on_change=self._helper_changed)
        self._own = UnprivilegedHelper(
            HelperServer(run.own_socket, on_change=self._helper_changed),
            helper_argv(
                socket=run.own_socket,
                uid=os.getuid(),
                key=run.key,
                hosts_file=options.hosts_file,
                ip_range=options.ip_range,
                use_sudo=False,
                interactive=False,
            ),
        )
        view = self._view = Store(self._dirty.set)
        self.discovery = Informer(
            connection, order.selection, view, spawn=self._spawner.spawn, reachable=self.link.wait_up
        )  # fmt: skip
        self.pool = Pool(
            forwarder=PortForwarder(connection, self._spawner),
            pods=self.discovery,
            clock=time.monotonic,
            changed=self.changed,
            warn=warn,
            max_children=options.max_children,
            idle_timeout_seconds=options.idle_timeout_seconds,
        )
        self._peers = self._system.peers()
        self._refusals = RefusalLog()
        self._admission = Admission(self._peers, os.getuid(), everybody=options.allow_other_users)
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
        self.naming = Naming(
            connection,
            options,
            run.key,
            helper=self._hosts_helper,
            exists_publicly=exists_publicly,
            top_level_domains=top_level_domains(),
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
                lambda: self._sudo.helper,
                HelperError,
                self._add_address if self._system.aliases_loopback else None,
            ),
            naming=self.naming,
            now=lambda: datetime.now(UTC),
            say=say,
        )

    # -- the way up ---------------------------------------------------------------------------------------------------
    async def begin(self) -> PrivilegeRequest:
        """List the cluster and work out what shall run; nothing on this machine is changed yet.

        Raises: LocalizeError where nothing can be listed, or nothing is selected.
        """
        await self.discovery.begin()
        plans = self.reconciler.selected()
        if not plans:
            raise nothing_selected(self.order.selection, self.order.connection.context, self._view.keys())
        first = self._system.unprivileged_port_start() if os.geteuid() else 0
        numbers = {binding.number for found in plans for binding in found.bindings if binding.number < first}
        own_hosts = _writable(self.order.options.hosts_file)
        await self._sudo.start()
        if self.order.options.hosts and own_hosts:
            await self._own.begin()
        hosts = self.order.options.hosts and self._hosts_by_root and not own_hosts
        return PrivilegeRequest(hosts, tuple(sorted(numbers)), self._lacks_addresses())

    def needs(self) -> PrivilegeRequest:
        """What is missing now: names that are not written, ports that were moved up."""
        moved = {port for pairs in self.reconciler.moved().values() for port, _ in pairs}
        hosts = self.naming.state is HostsState.DENIED and self._hosts_by_root and self._sudo.helper is None
        return PrivilegeRequest(hosts, tuple(sorted(moved)), self._lacks_addresses())

    async def open(self) -> list[str]:
        """Bind, listen and write names, then keep all of it true.

        Returns: sentences about what is missing.
        """
        await self.reconciler.reconcile()
        missing = await self.naming.resolve()
        self._tasks = [
            asyncio.create_task(self._follow()),
            asyncio.create_task(self.link.run()),
            asyncio.create_task(self._reopen()),
            asyncio.create_task(self._recover_names()),
        ]
        unresolved = [f"{len(missing)} names do not resolve, such as {missing[0]}"] if missing else []
        return [*self.warnings(), *unresolved]

    async def improve(self) -> list[str]:
        """Do what could not be done before, now that there may be a helper; sentences about what is still missing."""
        await self.reconciler.reopen()
        await self.reconciler.reconcile()
        missing = await self.naming.resolve()
        return [*self.warnings(), *(f"the name {name} does not resolve" for name in missing[:1])]

    def _lacks_addresses(self) -> bool:
        """Whether addresses have to be added to loopback, and nobody is there who may do so."""
        return self._system.aliases_loopback and os.geteuid() != 0 and self._sudo.helper is None

    async def _add_address(self, address: str) -> None:
        """Have the helper add an address to loopback; where we are root, it is our own one. Raises HelperError."""
        helper = self._sudo.helper or self._own.helper
        if helper is None:
            raise HelperError(f"{address} has to be added to the loopback interface, which needs sudo")
        await helper.alias(address, True)

    # -- while it runs ------------------------------------------------------------------------------------------------
    def warnings(self) -> list[str]:
        """What is missing now, a sentence each."""
        if self.naming.state is not HostsState.DENIED:
            return self._lasting_warnings()
        why = f": {self.naming.problem}" if self.naming.problem else ""
        return [
            f"{self.order.options.hosts_file} cannot be written, so names do not resolve{why}",
            *self._lasting_warnings(),
        ]

    def _lasting_warnings(self) -> list[str]:
        """What is missing besides the names, which `ls` tells from `hosts`."""
        found = [*self.discovery.warnings, *self.naming.names.warnings]
        found += filter(None, [self._admission.problem])
        moved = self.reconciler.moved()
        if moved:
            key, pairs = next(iter(moved.items()))
            port, local = pairs[0]
            found.append(
                f"ports below {self._system.unprivileged_port_start()} need sudo; they are moved up, such as"
                f" {key} {port} -> {local}"
                f" ({sum(len(pairs) for pairs in moved.values())} in all)"
            )
        return [*found, *self.reconciler.problems(), *self.discovery.problems()]

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
                await self._own.look_after()
                if self.reconciler.problems() and await self.reconciler.reopen():
                    self.changed.fire()
            except Exception:  # it is tried again
                log.exception("what could not be opened")

    async def _recover_names(self) -> None:
        while True:
            await asyncio.sleep(NAMES_SECONDS)
            try:
                if await self.reconciler.recover_names():
                    self.changed.fire()
            except Exception:  # it is tried again
                log.exception("names")

    def _renewed(self) -> None:
        self.pool.renew()
        self._tasks = [task for task in self._tasks if not task.done()]
        self._tasks.append(asyncio.create_task(self.discovery.renew()))

    def _helper_changed(self, helper: Helper | None) -> None:
        if helper is None:
            log.warning("a helper is gone")
        self._dirty.set()  # its names are gone with it; a new one has to write them
        self.changed.fire()

    def _hosts_helper(self) -> Helper | None:
        """Who writes the hosts file. Root writes the system's only, never one of the user's choice."""
        return self._own.helper or (self._sudo.helper if self._hosts_by_root else None)

    # -- what ls shows, and the way down ------------------------------------------------------------------------------
    def activity(self) -> tuple[int, int]:
        """Two numbers that grow with every change and with every byte."""
        return self.changed.count, self.buffer.reads

    def supervisor_item(self, own: SupervisorItem) -> SupervisorItem:
        """The supervisor in the `ls` document; `own` is what it knows of itself."""
        return replace(
            own,
            context=self.order.connection.context,
            hosts=self.naming.state,
            children=sum(1 for child in self.pool.live() if child.pid),
            warnings=tuple(self._lasting_warnings()),
        )

    def items(self) -> list[ForwardItem]:
        """The forwards in the `ls` document, by namespace and name."""
        return self.reconciler.items()

    async def end(self) -> None:
        """Undo everything: names first, so that nobody is led to an address where nobody listens."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(self._own.close(), self._sudo.close(), self.discovery.end())
        await self.reconciler.end()
        await self.pool.end()
        self._refusals.close()
        self._peers.close()


def _writable(path: str) -> bool:
    """Whether this user may write a hosts file that is there, or make it."""
    return os.access(path, os.W_OK) or (not os.path.exists(path) and os.access(os.path.dirname(path), os.W_OK))
