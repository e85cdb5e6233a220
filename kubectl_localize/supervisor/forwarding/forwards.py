"""All that is forwarded in one context, for one command or several, from the first list to the last undo."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import date

from kubectl_localize.cluster.store import Store
from kubectl_localize.host.addresses import AddressRegistry, validate_range
from kubectl_localize.host.neighbours import Neighbours
from kubectl_localize.host.paths import Paths
from kubectl_localize.host.resolve import exists_publicly, top_level_domains
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.ls_document import ForwardItem, HostsState, LsDocument, SupervisorItem
from kubectl_localize.model import Options
from kubectl_localize.protocol import StartRequest, Warn
from kubectl_localize.supervisor.forwarding.example import example_of
from kubectl_localize.supervisor.forwarding.helpers import Helpers, PrivilegeRequest
from kubectl_localize.supervisor.forwarding.hold_lister import HoldLister
from kubectl_localize.supervisor.forwarding.holds import Hold, Holds, check_shareable
from kubectl_localize.supervisor.forwarding.hosts_writer import HostsWriter
from kubectl_localize.supervisor.forwarding.informer import Informer
from kubectl_localize.supervisor.forwarding.listener import ListenerConfig
from kubectl_localize.supervisor.forwarding.pod_ports import PodPorts
from kubectl_localize.supervisor.forwarding.public_names import PublicNames
from kubectl_localize.supervisor.forwarding.reconciler import Reconciler
from kubectl_localize.supervisor.forwarding.spec import ForwardSpec
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
    """Everything that is forwarded, and what that needs.

    Args:
        options: of the command that came first; what cannot be shared is as it wants it.
        runtime: the ways to the cluster.
        paths: the files of this user.
        reporter: hears of changes and of what is missing.

    Attributes:
        holds: which command wants what.
    """

    def __init__(self, options: Options, runtime: Runtime, paths: Paths, reporter: Reporter) -> None:
        connection, run = runtime.connection, runtime.paths
        self.holds = Holds()
        self._context = connection.context
        self._options = options
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
        self._admission = Admission(runtime.peers, os.getuid())
        config = ListenerConfig(
            pool=self._pool,
            probe=runtime.probe,
            access=runtime.access,
            changed=runtime.changed,
            clock=runtime.clock.now,
            admission=self._admission,
            open_admission=Admission(runtime.peers, os.getuid(), everybody=True),
            refusals=runtime.refusals,
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
        self._pod_ports = PodPorts(runtime.api, self._store, runtime.clock)
        self._reconciler = Reconciler(
            connection.context,
            self.holds,
            self._store,
            key=run.key,
            registry=AddressRegistry(
                paths.addresses, paths.addresses_lock, validate_range(options.ip_range), date.today
            ),
            config=config,
            binder=PortBinder(
                bind_loopback,
                self._helpers,
                aliases_loopback=runtime.system.aliases_loopback,
                strangers=Neighbours(runtime.system, os.getuid(), runtime.clock.now),
            ),
            hosts=self._hosts,
            now=runtime.now,
            reporter=reporter,
            pod_ports=self._pod_ports,
            cluster_domain=options.cluster_domain,
        )
        self._lister = HoldLister(connection.context, self._store, self._informer, self._reconciler, self._pod_ports)

    @staticmethod
    def new_hold(request: StartRequest) -> Hold:
        """What a command asks for, to be given to `begin` or to be prepared; raises a LocalizeError if it cannot be."""
        return Hold(request.selection, request.connection.namespace, request.options)

    # -- the way up ---------------------------------------------------------------------------------------------------
    async def begin(self, hold: Hold) -> PrivilegeRequest:
        """Begin with the first hold: list the cluster, and work out what shall run. Nothing on this machine changes.

        Raises:
            LocalizeError: nothing can be listed, or nothing is selected.
        """
        self._resources.push_async_callback(self._pool.end)
        self._resources.push_async_callback(self._reconciler.end)
        self._resources.push_async_callback(self._pod_ports.end)
        self._resources.push_async_callback(self._informer.end)
        self._resources.push_async_callback(self._helpers.close)
        self._resources.push_async_callback(self._hosts.end)
        self._resources.push_async_callback(self._tasks.end)
        helpers_started = self._tasks.start(self._helpers.start(), "starting the helper")
        self.holds.add(hold)
        specs = await self._lister.list(hold)
        self._activate(hold)
        await helpers_started
        hosts = self._helpers.needs_root_for_hosts()
        return PrivilegeRequest(hosts, self._low_ports(specs), self._helpers.needs_root_for_addresses())

    async def open_unprivileged(self) -> None:
        """Listen where no helper is needed: there is time for that while the user is asked for one."""
        if not self._helpers.needs_root_for_addresses():
            await self._reconciler.reconcile(first_port=self._helpers.first_unprivileged_port())

    async def open(self) -> None:
        """Bind, listen and write names, then keep all of it true."""
        self._runtime.renew_too(self)
        self._resources.callback(self._runtime.forget, self)
        self._runtime.access.follow(self._pool)
        self._resources.callback(self._runtime.access.forget, self._pool)
        await self._reconciler.reconcile()
        self._tasks.start(self._hosts.run(), "names in the hosts file")
        await self._hosts.settled()
        self._tasks.start(self._follow(), "following endpoints")
        self._tasks.start(self._reconcile(), "following the cluster")
        self._tasks.start(self._sweep(), "ending idle children")
        self._tasks.start(self._reopen(), "opening what could not be opened")

    async def prepare(self, hold: Hold) -> PrivilegeRequest:
        """List what one more hold wants, and work out what that needs; nothing of it runs yet.

        Raises:
            LocalizeError: nothing can be listed, nothing is selected, or it wants what cannot be shared.
        """
        check_shareable(self._options, hold.options, self._context, os.getpid())
        specs = await self._lister.list(hold)
        await self._helpers.look_after()
        self._hosts.write_again()
        await self._hosts.settled()
        moved = {port for pairs in self._reconciler.moved().values() for port, _ in pairs}
        new = [] if self._helpers.privileged else [spec for spec in specs if not self._reconciler.runs(spec.key)]
        hosts = self._hosts.state is HostsState.DENIED and self._helpers.root_could_write_hosts()
        return PrivilegeRequest(
            hosts, tuple(sorted({*moved, *self._low_ports(new)})), self._helpers.needs_root_for_addresses()
        )

    async def improve(self, hold: Hold) -> None:
        """Run what one more hold wants, and what could not be done before, now that there may be a helper."""
        self._activate(hold)
        await self._reconciler.reopen()
        await self._reconciler.reconcile()
        self._hosts.write_again()
        await self._hosts.settled()

    def _activate(self, hold: Hold) -> None:
        hold.active = True
        self._reconciler.look_again()
        self._pool.limit(self.holds.max_children, self.holds.idle_timeout_seconds)

    def _low_ports(self, specs: Sequence[ForwardSpec]) -> tuple[int, ...]:
        """The ports that this user may not bind."""
        first = self._helpers.first_unprivileged_port()
        return tuple(sorted({binding.number for spec in specs for binding in spec.bindings if binding.number < first}))

    # -- what is taken away again -------------------------------------------------------------------------------------
    async def release(self, hold: Hold) -> None:
        """Take away what only this hold wanted, and return when it is gone: listeners, addresses, names, watches."""
        self.holds.remove(hold)
        await self._narrow()

    async def stop(self, patterns: tuple[str, ...]) -> list[Hold]:
        """Take some Services away, whoever holds them.

        Args:
            patterns: `ns/svc` or globs of it.

        Returns:
            The holds that have nothing left.
        """
        active = [hold for hold in self.holds if hold.active]
        had_some = [hold for hold in active if hold.keys]
        for hold in active:
            hold.leave_out(patterns)
        await self._narrow()
        return [hold for hold in had_some if not hold.keys]

    async def _narrow(self) -> None:
        self._reconciler.look_again()
        self._pool.limit(self.holds.max_children, self.holds.idle_timeout_seconds)
        await self._reconciler.reconcile()
        await self._informer.keep(self.holds.namespaces)
        await self._hosts.settled()

    # -- while it runs ------------------------------------------------------------------------------------------------
    async def warnings(self, hold: Hold) -> list[Warn]:
        """What a command has to know when what it asked for runs."""
        unresolved = await self._hosts.unresolved()
        missing = [f"{len(unresolved)} names do not resolve, such as {unresolved[0]}"] if unresolved else []
        unprivileged = [Warn(sentence, lacks_privileges=True) for sentence in self._lacking_privileges()]
        return [*map(Warn, hold.unmatched), *unprivileged, *map(Warn, [*self._lasting_warnings(), *missing])]

    def _lacking_privileges(self) -> list[str]:
        """What is missing as long as there is no privileged helper, in one sentence; none if nothing is."""
        missing = []
        if self._hosts.state is HostsState.DENIED:
            why = f" ({self._hosts.problem})" if self._hosts.problem else ""
            missing.append(f"names do not resolve, as {self._options.hosts_file} cannot be written{why}")
        moved = self._reconciler.moved()
        if moved:
            key, pairs = next(iter(moved.items()))
            port, local = pairs[0]
            missing.append(
                f"ports below {self._helpers.first_unprivileged_port()} are moved up, such as {key} {port} -> {local}"
                f" ({sum(len(pairs) for pairs in moved.values())} in all)"
            )
        return ["; ".join(missing)] if missing else []

    def _with_remedy(self, sentence: str) -> str:
        if self._hosts.problem:  # a helper has tried
            return sentence
        return f"{sentence}; start again where sudo can ask for your password"

    def _lasting_warnings(self) -> list[str]:
        """What else is missing, a sentence each."""
        sentences = [*self.holds.warnings, *self._hosts.names.warnings, *self._runtime.problems()]
        sentences += filter(None, [self._admission.problem])
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
                for hold in self.holds:
                    await self._lister.follow_external_names(hold)
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

    async def remake_files(self) -> None:
        """Make the sockets for helpers anew, which somebody has removed; raises OSError if one cannot be."""
        await self._helpers.remake_sockets()

    # -- what ls shows, and the way down ------------------------------------------------------------------------------
    def supervisor_item(self, own: SupervisorItem) -> SupervisorItem:
        """The supervisor in the `ls` document; `own` is what it knows of itself."""
        return replace(
            own,
            context=self._context,
            hosts=self._hosts.state,
            children=sum(1 for child in self._pool.live() if child.pid),
            warnings=(*map(self._with_remedy, self._lacking_privileges()), *self._lasting_warnings()),
        )

    @property
    def written_to(self) -> str:
        """The hosts file that has the names; empty if there is none."""
        return self._options.hosts_file if self._hosts.state is HostsState.WRITTEN and self._hosts.names.lines else ""

    def items(self) -> list[ForwardItem]:
        """The forwards in the `ls` document, by namespace and name."""
        return self._reconciler.items()

    def example(self, document: LsDocument) -> str:
        """An address to try (`example_of`), of what a command shows."""
        is_systems_file = self._options.hosts_file == Options().hosts_file
        items = [item for item in document.items if isinstance(item, ForwardItem)]
        return example_of(items, names_work=is_systems_file and self._hosts.state is HostsState.WRITTEN)

    async def end(self) -> None:
        """Undo everything: names first, so that no name leads to an address without a listener."""
        await self._resources.aclose()
