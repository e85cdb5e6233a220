"""The journals of one exposure while it lives: written before anything else, renewed, and missed when they are gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from kubectl_localize.cluster.exposing import journal
from kubectl_localize.cluster.exposing.journal import Entry, by_hand, exposed_already, journal_at, journals
from kubectl_localize.errors import AlreadyExistsError, ConflictError, KubectlError, LocalizeError, NotFoundError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.means import Means

log = logging.getLogger(__name__)


class Journals:
    """One Lease for each workload of an exposure.

    Args:
        asked: the Service that an error speaks of.
        lost: called once when one of them is gone, with the error that says so.
    """

    def __init__(
        self, entries: Sequence[Entry], asked: ServiceKey, means: Means, *, lost: Callable[[LocalizeError], None]
    ) -> None:
        self._entries = list(entries)
        self._asked = asked
        self._means = means
        self._lost = lost
        self._renewing: asyncio.Task[None] | None = None
        self.undo = by_hand(entries)
        self.written: list[Entry] = []

    async def write(self, may_go_on: Callable[[], None]) -> None:
        """Write all of them, and keep them renewed from then on. `written` are those that there may be, at any moment.

        Args:
            may_go_on: called before each; raises what ends the writing.

        Raises: LocalizeError where somebody else has one of them; KubectlError.
        """
        for number, entry in enumerate(self._entries):
            may_go_on()
            self.written.append(entry)
            try:
                manifest = journal.manifest(entry, self.undo)
                lease = await self._means.api.create(journal.collection(entry.namespace), manifest)
            except AlreadyExistsError:
                self.written.pop()  # it is another one's, and so is what it says
                raise await self._who_was_first(entry) from None
            self._entries[number] = self.written[-1] = replace(
                entry, lease_uid=lease["metadata"]["uid"], version=lease["metadata"]["resourceVersion"]
            )
        self._renewing = asyncio.create_task(self._renew())

    async def must_be_there(self) -> None:
        """Look whether all of them are. Raises: LocalizeError where one is gone; KubectlError."""
        for entry in self._entries:
            await self._look(entry)

    def stop(self) -> None:
        """Renew them no more."""
        if self._renewing is not None:
            self._renewing.cancel()

    async def _who_was_first(self, entry: Entry) -> LocalizeError:
        there = await journal_at(self._means.api, entry.path)
        if there is None:
            return LocalizeError(
                f"there is a Lease {entry.namespace}/{entry.name} that this version cannot read",
                "a newer kubectl localize may have made it; if nobody needs it:"
                f" `kubectl delete lease -n {entry.namespace} {entry.name}`",
            )
        held = [one for one in await journals(self._means.api, [entry.namespace]) if one.session == there.session]
        return exposed_already(self._asked, held or [there], self._means.now(), self._means.advice)

    async def _renew(self) -> None:
        """Tell colleagues that we live, as long as we do."""
        while True:
            await self._means.clock.sleep(journal.RENEW_SECONDS)
            for number, entry in enumerate(self._entries):
                try:
                    self._entries[number] = await self._renewed(entry)
                except KubectlError as error:
                    log.info("renewing the journal of %s: %s", entry.workload, error.message)
                except LocalizeError as error:
                    self._lost(error)
                    return

    async def _renewed(self, entry: Entry) -> Entry:
        """The journal with a new time. Raises: LocalizeError where it is gone; KubectlError."""
        wanted = journal.renewed(entry, self._means.now())
        try:
            lease = await self._means.api.replace(entry.path, journal.manifest(wanted, self.undo))
        except (ConflictError, NotFoundError):  # the answer to the last one was lost, or somebody has deleted it
            return await self._look(entry)
        return replace(wanted, version=lease["metadata"]["resourceVersion"])

    async def _look(self, entry: Entry) -> Entry:
        there = await journal_at(self._means.api, entry.path)
        if there is None or there.session != entry.session:
            raise LocalizeError(f"the journal of {entry.workload} is gone: somebody has ended this exposure by hand")
        return there
