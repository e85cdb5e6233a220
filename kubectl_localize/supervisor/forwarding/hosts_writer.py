"""The managed block of this context: what it shall say, and the helper that writes it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from kubectl_localize.host.helper_server import DeniedError, Helper, HelperError
from kubectl_localize.host.hosts import HOSTS_FILE, may_be_written, names_taken
from kubectl_localize.host.resolve import unresolved
from kubectl_localize.model import Connection, HostsLine, HostsState, Options, ServiceKey
from kubectl_localize.supervisor.forwarding.dns_names import (
    Named,
    NameRules,
    Names,
    assign_names,
    context_slug,
    shadowing,
)
from kubectl_localize.supervisor.forwarding.hosts_file_monitor import HostsFileMonitor

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 1.0
LOOKUPS_AT_ONCE = 32
RESOLVE_SECONDS = 5.0


class Naming:
    """Keeps the hosts file true to what is forwarded.

    Args:
        helper: the helper that may write the hosts file, None while there is none.
        exists_publicly: whether a name exists in public DNS; asked before the name is ours.
    """

    def __init__(
        self,
        connection: Connection,
        options: Options,
        key: str,
        *,
        helper: Callable[[], Helper | None],
        exists_publicly: Callable[[str], Awaitable[bool]],
        top_level_domains: Collection[str],
    ) -> None:
        self._connection = connection
        self._options = options
        self._key = key
        self._helper = helper
        self._exists_publicly = exists_publicly
        self._top_level_domains = top_level_domains
        self._written: tuple[Helper, tuple[HostsLine, ...]] | None = None
        self._lost = HostsFileMonitor(options.hosts_file, key)
        self._looked_up: dict[str, bool] = {}
        self.names = Names((), ())
        self.problem = ""

    @property
    def state(self) -> HostsState:
        """Whether names lead to the addresses now."""
        if not self._options.hosts:
            return HostsState.OFF
        helper = self._helper()
        return HostsState.WRITTEN if self._written and self._written[0] is helper else HostsState.DENIED

    @property
    def hosts_file(self) -> str:
        """The file that is written."""
        return self._options.hosts_file

    async def apply(self, named: Sequence[Named], known: Collection[ServiceKey]) -> None:
        """Make the block say what is forwarded now."""
        if not self._options.hosts:
            return
        rules = await self._rules(named, known)
        self.names = assign_names(named, known, rules)
        helper = self._helper()
        if helper is None:
            self._written = None
            return
        wanted = (helper, self.names.lines)
        if self._written == wanted:
            return
        try:
            await helper.set_hosts(self._connection.context, self.names.lines)
        except HelperError as error:
            self._written = None
            self.problem = error.message
            log.warning("hosts file: %s%s", error.message, " (denied)" if isinstance(error, DeniedError) else "")
            return
        self._written, self.problem = wanted, ""
        self._lost.forget()

    def lost(self) -> bool:
        """Whether somebody else has taken the block out of the hosts file; `apply` writes it again then."""
        if self._written is None or self.state is not HostsState.WRITTEN or not self._lost.look(self._written[1]):
            return False
        self._written = None
        return True

    async def resolve(self) -> list[str]:
        """Wait until this machine's resolver knows the names; those that it does not know in time.

        A hosts file of the user's own choice is not the resolver's, and is not waited for.
        """
        if self.state is not HostsState.WRITTEN or self._options.hosts_file != Options().hosts_file:
            return []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RESOLVE_SECONDS
        while True:
            missing = await unresolved(self.names.lines)
            if not missing or loop.time() > deadline:
                return list(missing)
            await asyncio.sleep(0.05)

    async def _rules(self, named: Sequence[Named], known: Collection[ServiceKey]) -> NameRules:
        taken = {
            name: "the hosts file" if holder == HOSTS_FILE else f"another context ({holder})"
            for name, holder in _taken(self._options.hosts_file, self._key).items()
        }
        for name in _machine_names():
            taken[name] = "this machine"
        for url in (self._connection.proxy, self._connection.server):
            taken[urlsplit(url).hostname or ""] = "the way to the API server"
        rules = NameRules(
            context=context_slug(self._connection.context),
            namespace=self._connection.namespace,
            cluster_domain=self._options.cluster_domain,
            taken=taken,
            writable=may_be_written,
        )
        wanted = [f"{entry.key.name}.{entry.key.namespace}" for entry in named if not entry.label]
        return replace(rules, public=await self._public(wanted))

    async def _public(self, names: Sequence[str]) -> frozenset[str]:
        """Names that public DNS has; looked up once each, and taken for free where DNS does not answer soon."""
        candidates = [name for name in shadowing(names, self._top_level_domains) if name not in self._looked_up]
        if candidates:
            few = asyncio.Semaphore(LOOKUPS_AT_ONCE)
            lookups = [asyncio.create_task(_quiet(few, self._exists_publicly, name)) for name in candidates]
            done, late = await asyncio.wait(lookups, timeout=LOOKUP_SECONDS)
            for task in late:
                task.cancel()
            for name, task in zip(candidates, lookups, strict=True):
                self._looked_up[name] = task in done and task.result()
        return frozenset(name for name, public in self._looked_up.items() if public)


async def _quiet(few: asyncio.Semaphore, lookup: Callable[[str], Awaitable[bool]], name: str) -> bool:
    async with few:
        try:
            return await lookup(name)
        except OSError:
            return False


def _taken(hosts_file: str, key: str) -> dict[str, str]:
    try:
        text = Path(hosts_file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return names_taken(text, key)


def _machine_names() -> set[str]:
    own = socket.gethostname().lower()
    return {"localhost", "localhost.localdomain", own, own.partition(".")[0]}
