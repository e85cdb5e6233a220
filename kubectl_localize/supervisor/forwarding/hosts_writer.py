"""Keeps our managed block in the hosts file true to what is forwarded, in a loop of its own that tries again."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from kubectl_localize.host.helper_client import DeniedError, Helper, HelperError
from kubectl_localize.host.hosts import HOSTS_FILE, machine_names, may_be_written
from kubectl_localize.host.identity import user_name
from kubectl_localize.host.paths import key_digest, key_owner
from kubectl_localize.host.resolve import unresolved
from kubectl_localize.ls_document import HostsState
from kubectl_localize.model import Connection, HostsLine, Options
from kubectl_localize.supervisor.forwarding.dns_names import (
    Claim,
    Named,
    NameRules,
    Names,
    assign_names,
    candidates,
    context_slug,
    with_final_dots,
)
from kubectl_localize.supervisor.forwarding.helpers import Helpers
from kubectl_localize.supervisor.forwarding.hosts_file_monitor import HostsFileMonitor
from kubectl_localize.supervisor.forwarding.public_names import PublicNames
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.timing import Backoff, Clock, Notifier, first_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # between two looks at whether the hosts file still holds our block
RESOLVE_SECONDS = 5.0
RESOLVE_AGAIN_SECONDS = 0.05
RETRY = Backoff(1.0, 60.0)


class HostsWriter:
    """Writes the names of what is forwarded.

    `forward` only notes what shall be written, so that no listener ever waits for DNS or for the hosts file. `run`
    writes it, tries again what failed, and writes the block again if somebody else has taken it out.

    Args:
        connection: the context whose names these are.
        options: which hosts file is written, and whether.
        key: the context's key, which marks the block.
        helpers: know the helper that may write the file.
        public_names: know the names that have to be left alone because public DNS has them.
        reporter: hears of a block that was lost.
        clock: for the pauses.
        changed: fires when names or state have changed.

    Attributes:
        names: the names that are ours now.
        problem: why the last write failed; empty if it did not.
    """

    def __init__(
        self,
        connection: Connection,
        options: Options,
        key: str,
        *,
        helpers: Helpers,
        public_names: PublicNames,
        reporter: Reporter,
        clock: Clock,
        changed: Notifier,
    ) -> None:
        self._connection = connection
        self._options = options
        self._key = key
        self._helpers = helpers
        self._public_names = public_names
        self._reporter = reporter
        self._clock = clock
        self._changed = changed
        self._monitor = HostsFileMonitor(options.hosts_file, key)
        self._user = context_slug(user_name(os.getuid()))
        self._meets_others = False  # whether another user of this machine has been seen to have names; never unset
        self._named: tuple[Named, ...] = ()
        self._claims: tuple[Claim, ...] = ()
        self._candidates: frozenset[str] = frozenset()
        self._based_on: tuple[object, ...] = ()  # what the names were worked out from
        self._asked = 0  # how often something was to be written
        self._tried = 0  # up to which of these it has been tried
        self._awaits_dns = False  # whether names are left out until their look-up is over
        self._wanted = Notifier()
        self._settled = Notifier()
        self._written: tuple[Helper, tuple[HostsLine, ...]] | None = None
        self.names = Names((), ())
        self.problem = ""
        self._told = (self.state, self.names)

    @property
    def state(self) -> HostsState:
        """Whether names lead to the addresses now."""
        if not self._options.hosts:
            return HostsState.OFF
        written = self._written is not None and self._written[0] is self._helpers.hosts
        return HostsState.WRITTEN if written else HostsState.DENIED

    def forward(self, named: Sequence[Named], claims: Sequence[Claim]) -> None:
        """Note what is forwarded now; `run` writes it.

        Args:
            named: what has an address.
            claims: who has a claim to bare names, the first one first.
        """
        if (tuple(named), tuple(claims)) != (self._named, self._claims):
            self._named, self._claims = tuple(named), tuple(claims)
            self._candidates = candidates(self._named, self._claims, replace(self._rules(), user=self._user))
            self.write_again()

    def write_again(self) -> None:
        """Try at once to write the file, if it does not hold what it should."""
        self._asked += 1
        self._wanted.fire()

    async def run(self) -> None:
        """Keep the file true until cancelled."""
        failures = 0
        while True:
            wakes = (self._wanted.next(), self._helpers.changed.next(), self._public_names.changed.next())
            try:
                done = await self.tend()
            except Exception:  # it is tried again
                log.exception("names")
                done = False
            failures = 0 if done else failures + 1
            await first_of(*wakes, self._clock.sleep(RETRY.seconds(failures) if failures else LOOK_SECONDS))

    async def end(self) -> None:
        """End the look-ups that are still under way."""
        await self._public_names.end()

    async def tend(self) -> bool:
        """Look at the file, and write to it if needed. Returns False if it has to be tried again."""
        asked = self._asked
        try:
            return not self._options.hosts or await self._tend()
        finally:
            self._tried = max(self._tried, asked)
            self._settled.fire()

    async def settled(self) -> None:
        """Wait until what was to be written last has been tried, with all look-ups in public DNS over."""
        while self._tried < self._asked or self._awaits_dns:
            await self._settled.wait()

    async def unresolved(self) -> list[str]:
        """Wait until this machine's resolver knows the names; those that it does not know in time.

        A hosts file of the user's own choice is not the resolver's, and is not waited for.
        """
        if self.state is not HostsState.WRITTEN or self._options.hosts_file != Options().hosts_file:
            return []
        deadline = self._clock.now() + RESOLVE_SECONDS
        while True:
            missing = await unresolved(self.names.lines)
            if not missing or self._clock.now() > deadline:
                return list(missing)
            await self._clock.sleep(RESOLVE_AGAIN_SECONDS)

    # -- one look -----------------------------------------------------------------------------------------------------
    async def _tend(self) -> bool:
        lost = await self._block_is_lost()
        services = [entry.key for entry in self._named if not entry.label]
        self._public_names.look_up(f"{key.name}.{key.namespace}" for key in services)
        pending = self._public_names.pending
        self._assign(pending)
        done = await self._write()
        self._awaits_dns = bool(pending)
        if lost:
            again = "they are written again" if done else f"they cannot be written again: {self.problem}"
            self._reporter.change(f"{self._options.hosts_file} had lost our names; {again}")
        told, self._told = self._told, (self.state, self.names)  # a helper may have gone between two looks
        if lost or told != self._told:
            self._changed.fire()
        return done

    async def _block_is_lost(self) -> bool:
        """Look at the file; whether somebody else has taken the block out, so that it has to be written again."""
        lines = self._written[1] if self._written is not None else ()
        lost = await self._monitor.lost(lines, self._candidates)
        if self._written is None or self.state is not HostsState.WRITTEN or not lost:
            return False
        self._written = None
        return True

    def _assign(self, pending: Collection[str]) -> None:
        """Work the names out, if anything that they depend on has changed."""
        rules = self._rules(pending)
        based_on = (self._named, self._claims, rules.taken, rules.public, rules.user, pending)
        if based_on != self._based_on:
            self._based_on = based_on
            self.names = assign_names(self._named, self._claims, rules)

    async def _write(self) -> bool:
        """Write the names, unless the file holds them already. Returns False if it has to be tried again."""
        helper = self._helpers.hosts
        if helper is None:
            self._written = None
            return True  # until a helper connects, which wakes us
        lines = with_final_dots(self.names.lines, self._options.cluster_domain)
        wanted = (helper, lines)
        if self._written == wanted:
            return True
        try:
            await helper.set_hosts(self._connection.context, lines)
        except HelperError as error:
            self._written = None
            if error.message != self.problem:  # once, though it is tried again and again
                log.warning("hosts file: %s%s", error.message, " (denied)" if isinstance(error, DeniedError) else "")
            self.problem = error.message
            return False
        self._written, self.problem = wanted, ""
        self._monitor.forget()
        return True

    def _rules(self, pending: Collection[str] = ()) -> NameRules:
        holders = {holder: self._described(holder) for holder in set(self._monitor.holders.values())}
        others = {text for holder, text in holders.items() if self._is_another_users(holder)}
        self._meets_others = self._meets_others or bool(others)
        taken = {name: holders[holder] for name, holder in self._monitor.holders.items()}
        for name in ("localhost", *machine_names()):
            taken[name] = "this machine"
        for url in (self._connection.proxy, self._connection.server):
            taken[urlsplit(url).hostname or ""] = "the way to the API server"
        return NameRules(
            context=context_slug(self._connection.context),
            mark=key_digest(self._key),
            cluster_domain=self._options.cluster_domain,
            taken=taken,
            public=self._public_names.public,
            writable=lambda name: name not in pending and may_be_written(name),
            user=self._user if self._meets_others else "",
            others=others,
        )

    def _described(self, holder: str) -> str:
        """Who holds a name, for people."""
        if holder == HOSTS_FILE:
            return "the hosts file"
        if self._is_another_users(holder):
            return f"user {user_name(key_owner(holder))}"
        return f"another context ({holder})"

    def _is_another_users(self, holder: str) -> bool:
        return holder != HOSTS_FILE and key_owner(holder) not in (-1, os.getuid())
