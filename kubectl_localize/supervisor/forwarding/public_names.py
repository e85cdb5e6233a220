"""Looks up in the background, once each, which of our names exist in public DNS."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable

from kubectl_localize.supervisor.forwarding.dns_names import shadowing
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Notifier

LOOKUP_SECONDS = 1.0
LOOKUPS_AT_ONCE = 32


class PublicNames:
    """What public DNS has said of names so far.

    A name may not be written to the hosts file before its look-up is over: some resolvers would answer it from there.

    Args:
        exists_publicly: whether public DNS has a name; raises OSError if it cannot be asked.
        top_level_domains: only names that end in one of these are looked up.
        lookup_seconds: how long to wait for answers.

    Attributes:
        changed: fires when look-ups are over.
    """

    def __init__(
        self,
        exists_publicly: Callable[[str], Awaitable[bool]],
        top_level_domains: Collection[str],
        lookup_seconds: float = LOOKUP_SECONDS,
    ) -> None:
        self.changed = Notifier()
        self._exists_publicly = exists_publicly
        self._top_level_domains = top_level_domains
        self._lookup_seconds = lookup_seconds
        self._answers: dict[str, bool] = {}
        self._pending: set[str] = set()
        self._tasks = Tasks()

    @property
    def public(self) -> frozenset[str]:
        """The names that public DNS has."""
        return frozenset(name for name, exists in self._answers.items() if exists)

    @property
    def pending(self) -> frozenset[str]:
        """The names whose look-up is not over."""
        return frozenset(self._pending)

    def look_up(self, names: Iterable[str]) -> None:
        """Begin to look up those names that are new and could be public."""
        candidates = [
            name
            for name in shadowing(names, self._top_level_domains)
            if name not in self._answers and name not in self._pending
        ]
        if candidates:
            self._pending.update(candidates)
            self._tasks.start(self._look_up(candidates), "look-up of names in public DNS")

    async def end(self) -> None:
        """End all look-ups."""
        await self._tasks.end()

    async def _look_up(self, candidates: list[str]) -> None:
        """Ask for all of them; a name for which no answer comes in time counts as nobody's."""
        few = asyncio.Semaphore(LOOKUPS_AT_ONCE)
        lookups = {name: asyncio.create_task(self._exists(few, name)) for name in candidates}
        try:
            await asyncio.wait(lookups.values(), timeout=self._lookup_seconds)
        finally:
            for name, lookup in lookups.items():
                lookup.cancel()
                self._answers[name] = lookup.done() and not lookup.cancelled() and lookup.result()
            self._pending.difference_update(candidates)
            self.changed.fire()

    async def _exists(self, few: asyncio.Semaphore, name: str) -> bool:
        async with few:
            try:
                return await self._exists_publicly(name)
            except OSError:
                return False
