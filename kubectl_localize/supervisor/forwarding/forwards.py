"""All that runs for one selection in one context, from the first list to the last undo."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date

from kubectl_localize.cluster.selection import nothing_selected
from kubectl_localize.cluster.store import Store
from kubectl_localize.host.addresses import AddressRegistry, validate_range
from kubectl_localize.host.paths import Paths
from kubectl_localize.host.resolve import exists_publicly, top_level_domains
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.ls_document import ForwardItem, HostsState, SupervisorItem
from kubectl_localize.protocol import StartRequest
from kubectl_localize.supervisor.forwarding.helpers import Helpers, PrivilegeRequest
from kubectl_localize.supervisor.forwarding.hosts_writer import HostsWriter
from kubectl_localize.supervisor.forwarding.informer import Informer
from kubectl_localize.supervisor.forwarding.listener import ListenerConfig
from kubectl_localize.supervisor.forwarding.public_names import PublicNames
from kubectl_localize.supervisor.forwarding.reconciler import Reconciler
from kubectl_localize.supervisor.processes.pool import Pool
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.supervisor.traffic.binding import PortBinder
from kubectl_localize.supervisor.traffic.server import Admission
from kubectl_localize.timing import Notifier

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.02  # events come in bunches; a bunch is looked at once
REOPEN_SECONDS = 5.0
SWEEP_SECONDS = 0.5


class Forwards:
    """All that runs for one StartRequest.

    Args:
        request: what was asked for.
        runtime: the ways to the cluster.
        paths: the files of this user.
        reporter: hears of changes and of what is missing.
    """

    def __init__(self, request: StartRequest, runtime: Runtime, paths: Paths, reporter: Reporter) -> None:
        connection, options, run = request.connection, request.options, runtime.paths
        self.request = request
        self._runtime = runtime
        self._changes = Notifier()
        self._behind = asyncio.Event()
        self._tasks = Tasks()
        self._resources = AsyncExitStack()
        self._changed = runtime.changed
        self._helpers = Helpers(run, options, runtime.system)
        self._store = Store(self._changes, runtime.clock)
        self._informer = Informer(
            connection,
            request.selection,
            self._store,
            api=runtime.api,
            requests=runtime.transport,
            reachability=runtime.probe,
            clock=runtime.clock,
        )
        self._pool = Pool(
            forwarder=runtime.forwarder,
            pods=runtime.api,
            clock=runtime.clock.now,
            changed=runtime.changed,
            reporter=reporter,
            max_children=options.max_children,
            idle_timeout_seconds=options.idle_timeout_seconds,
        )
        self._admission = Admission(runtime.peers, os.getuid(), everybody=options.allow_other_users)
        config = ListenerConfig(
            pool=self._pool,
            probe=runtime.probe,
            access=runtime.access,
            changed=runtime.changed,
            clock=runtime.clock.now,
            admission=self._admission,
            refusals=runtime.refusals,
            wait_timeout_seconds=options.wait_timeout_seconds,
            buffer=runtime.buffer,
        )
        self._hosts = HostsWriter(
            connection,
            options,
            run.key,
            helpers=self._helpers,
            public_names=PublicNames(exists_publicly, top_level_domains()),
            reporter=reporter,
            clock=runtime.clock,
            changed=runtime.changed,
        )
        self._reconciler = Reconciler(
            connection,
            request.selection,
            self._store,
            key=run.key,
            registry=AddressRegistry(
                paths.addresses, paths.addresses_lock, validate_range(options.ip_range), date.today
            ),
            config=config,
            binder=PortBinder(bind_loopback, self._helpers, aliases_loopback=runtime.system.aliases_loopback),
            hosts=self._hosts,
            now=runtime.now,
            reporter=reporter,
        )

    # -- the way up ---------------------------------------------------------------------------------------------------
    async def begin(self) -> PrivilegeRequest:
        """List the cluster and work out what shall run; nothing on this machine is changed yet.

        Raises:
            LocalizeError: nothing can be listed, or nothing is selected.
        """
        self._resources.push_async_callback(self._pool.end)
        self._resources.push_async_callback(self._reconciler.end)
        self._resources.push_async_callback(self._informer.end)
        self._resources.push_async_callback(self._helpers.close)
        self._resources.push_async_callback(self._hosts.end)
        self._resources.push_async_callback(self._tasks.end)
        helpers_started = self._tasks.start(self._helpers.start(), "starting the helper")
        await self._informer.begin()
        specs = self._reconciler.specs()
        if not specs:
            raise nothing_selected(self.request.selection, self.request.connection.context, self._store.keys())
        first = self._helpers.first_unprivileged_port()
        ports = {binding.number for spec in specs for binding in spec.bindings if binding.number < first}
        await helpers_started
        hosts = self._helpers.needs_root_for_hosts()
        return PrivilegeRequest(hosts, tuple(sorted(ports)), self._helpers.needs_root_for_addresses())

    async def open_unprivileged(self) -> None:
        """Listen where no helper is needed: there is time for that while the user is asked for one."""
        if not self._helpers.needs_root_for_addresses():
            await self._reconciler.reconcile(first_port=self._helpers.first_unprivileged_port())

    async def needs(self) -> PrivilegeRequest:
        """What is missing once the user's own helper is there again: names that are not written, ports moved up."""
        await self._helpers.look_after()
        self._hosts.write_again()
        await self._hosts.settled()
        ports = {port for pairs in self._reconciler.moved().values() for port, _ in pairs}
        hosts = self._hosts.state is HostsState.DENIED and self._helpers.root_could_write_hosts()
        return PrivilegeRequest(hosts, tuple(sorted(ports)), self._helpers.needs_root_for_addresses())

    async def open(self) -> list[str]:
        """Bind, listen and write names, then keep all of it true.

        Returns:
            Sentences about what is missing.
        """
        self._runtime.renew_too(self)
        self._resources.callback(self._runtime.forget, self)
        self._runtime.access.follow(self._pool)
        self._resources.callback(self._runtime.access.forget, self._pool)
        await self._reconciler.reconcile()
        self._tasks.start(self._hosts.run(), "names in the hosts file")
        await self._hosts.settled()
        missing = await self._hosts.unresolved()
        self._tasks.start(self._follow(), "following endpoints")
        self._tasks.start(self._reconcile(), "following the cluster")
        self._tasks.start(self._sweep(), "ending idle children")
        self._tasks.start(self._reopen(), "opening what could not be opened")
        unresolved = [f"{len(missing)} names do not resolve, such as {missing[0]}"] if missing else []
        return [*self.warnings(), *unresolved]

    async def improve(self) -> list[str]:
        """Do what could not be done before, now that there may be a helper; sentences about what is still missing."""
        await self._reconciler.reopen()
        await self._reconciler.reconcile()
        self._hosts.write_again()
        await self._hosts.settled()
        missing = await self._hosts.unresolved()
        return [*self.warnings(), *(f"the name {name} does not resolve" for name in missing[:1])]

    # -- while it runs ------------------------------------------------------------------------------------------------
    def warnings(self) -> list[str]:
        """What is missing now, a sentence each."""
        if self._hosts.state is not HostsState.DENIED:
            return self._lasting_warnings()
        why = f": {self._hosts.problem}" if self._hosts.problem else ""
        return [
            f"{self.request.options.hosts_file} cannot be written, so names do not resolve{why}",
            *self._lasting_warnings(),
        ]

    def _lasting_warnings(self) -> list[str]:
        """What is missing, a sentence each, without the names: for those, `ls` looks at `hosts`."""
        sentences = [*self._informer.warnings, *self._hosts.names.warnings, *self._runtime.problems()]
        sentences += filter(None, [self._admission.problem])
        moved = self._reconciler.moved()
        if moved:
            key, pairs = next(iter(moved.items()))
            port, local = pairs[0]
            sentences.append(
                f"ports below {self._helpers.first_unprivileged_port()} need sudo; they are moved up, such as"
                f" {key} {port} -> {local}"
                f" ({sum(len(pairs) for pairs in moved.values())} in all)"
            )
        return [*sentences, *self._reconciler.problems(), *self._informer.problems()]

    async def _follow(self) -> None:
        """Let connections go to the endpoints that the cluster has; this never waits for anything else."""
        while True:
            if not self._store.is_dirty:
                await self._changes.wait()
            await self._runtime.clock.sleep(GATHER_SECONDS)
            try:
                self._reconciler.follow()
            except Exception:  # one bad object must not end the following of all others
                log.exception("endpoints")
            self._behind.set()
            self._changed.fire()

    async def _reconcile(self) -> None:
        """Open and close what has to be waited for."""
        while True:
            await self._behind.wait()
            self._behind.clear()
            try:
                await self._reconciler.reconcile()
            except Exception:  # one bad object must not end the following of all others
                log.exception("reconcile")
            self._changed.fire()

    async def _sweep(self) -> None:
        """End children that nobody uses any more."""
        while True:
            await self._runtime.clock.sleep(SWEEP_SECONDS)
            self._pool.sweep()

    async def _reopen(self) -> None:
        while True:
            await self._runtime.clock.sleep(REOPEN_SECONDS)
            try:
                await self._helpers.look_after()
                if self._reconciler.problems() and await self._reconciler.reopen():
                    self._changed.fire()
            except Exception:  # it is tried again
                log.exception("what could not be opened")

    def renew(self) -> None:
        """Give new connections fresh children, now that the API server can be reached again."""
        self._pool.renew()

    # -- what ls shows, and the way down ------------------------------------------------------------------------------
    def supervisor_item(self, own: SupervisorItem) -> SupervisorItem:
        """The supervisor in the `ls` document; `own` is what it knows of itself."""
        return replace(
            own,
            context=self.request.connection.context,
            hosts=self._hosts.state,
            children=sum(1 for child in self._pool.live() if child.pid),
            warnings=tuple(self._lasting_warnings()),
        )

    def items(self) -> list[ForwardItem]:
        """The forwards in the `ls` document, by namespace and name."""
        return self._reconciler.items()

    async def end(self) -> None:
        """Undo everything: names first, so that no name leads to an address without a listener."""
        await self._resources.aclose()
