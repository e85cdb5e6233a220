"""The journals of one exposure while it lives: writes them first, renews them, and notices if somebody deletes them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kubectl_localize.cluster.exposing import journal
from kubectl_localize.cluster.exposing.claims import exposed_already
from kubectl_localize.cluster.exposing.journal import Entry, by_hand, journal_at, journals
from kubectl_localize.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubectlError,
    LocalizeError,
    NotFoundError,
)
from kubectl_localize.model import PodOptions, ServiceKey
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.supervisor.exposing.waiter import Waiter
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.supervisor.tasks import Tasks

Json = dict[str, Any]

log = logging.getLogger(__name__)


class Journals:
    """One Lease for each workload of an exposure.

    Args:
        asked: the Service that an error speaks of.
        waiter: the exposure's; it is ended when one of them is gone.
        options: the labels and annotations that the Leases have besides ours.
        followed: the same, for a cluster that refuses the Leases without.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        asked: ServiceKey,
        runtime: Runtime,
        judge: Judge,
        waiter: Waiter,
        *,
        options: PodOptions,
        followed: PodOptions,
    ) -> None:
        self._options = options
        self._followed = followed
        self._entries = list(entries)
        self._asked = asked
        self._runtime = runtime
        self._judge = judge
        self._waiter = waiter
        self._tasks = Tasks()
        self.undo = by_hand(entries)
        self.written: list[Entry] = []

    @property
    def fingerprints(self) -> list[str]:
        """What they will say, for the ledger."""
        return [journal.fingerprint(entry) for entry in self._entries]

    async def write(self) -> None:
        """Write all journals, and renew them from then on. `written` holds those that may exist, at any moment.

        Raises:
            EndingError: the exposure is to end.
            LocalizeError: somebody else has one of the workloads.
            KubectlError: a Lease cannot be written.
        """
        for number, entry in enumerate(self._entries):
            self._waiter.go_on()
            self.written.append(entry)
            try:
                lease = await self._create(entry)
            except AlreadyExistsError:
                lease = await self._ours(entry)
            self._entries[number] = self.written[-1] = replace(
                entry, lease_uid=lease["metadata"]["uid"], version=lease["metadata"]["resourceVersion"]
            )
        self.keep()

    async def try_out(self) -> None:
        """Ask the API server and its admission plugins whether they would take the Leases; nothing is made.

        Raises:
            KubectlError: they object to something, or do not answer.
        """
        for entry in self._entries:
            with contextlib.suppress(AlreadyExistsError):  # `write` says whose it is
                await self._create(entry, dry_run=True)

    async def _create(self, entry: Entry, *, dry_run: bool = False) -> Json:
        """Create a Lease; what the cluster says against the first way of making it counts."""
        path = journal.collection(entry.namespace)
        try:
            return await self._runtime.api.create(path, self._manifest(entry), dry_run=dry_run)
        except (InvalidError, ForbiddenError):
            self._options = self._followed
            with contextlib.suppress(InvalidError, ForbiddenError):
                return await self._runtime.api.create(path, self._manifest(entry), dry_run=dry_run)
            raise

    def _manifest(self, entry: Entry) -> Json:
        manifest = journal.manifest(entry, self.undo)
        meta = manifest["metadata"]
        meta["labels"] = {**dict(self._options.labels), **meta["labels"]}
        meta["annotations"] = {**dict(self._options.annotations), **meta["annotations"]}
        return manifest

    def keep(self) -> None:
        """Renew them from now on."""
        self._tasks.start(self._renew(), f"renewing the journals for {self._asked}")

    async def must_be_there(self) -> None:
        """Make sure that all of them are still there.

        Raises:
            LocalizeError: one is gone.
            KubectlError: the API server does not answer.
        """
        for entry in self._entries:
            await self._look(entry)

    async def stop(self) -> None:
        """Renew them no more, until `keep`."""
        await self._tasks.end()

    async def _ours(self, entry: Entry) -> Json:
        """The Lease that is there already, if it is our own, of an attempt whose answer was lost.

        Raises:
            LocalizeError: it is another session's.
        """
        lease = await self._runtime.api.find(entry.path)
        holder = journal.parse(lease) if lease is not None else None
        if lease is not None and holder is not None and holder.session == entry.session:
            return lease
        self.written.pop()  # the workload is another session's, and so is what its journal says
        raise await self._who_was_first(holder, entry)

    async def _who_was_first(self, holder: Entry | None, entry: Entry) -> LocalizeError:
        if holder is None:
            return LocalizeError(
                f"there is a Lease {entry.namespace}/{entry.name} that this version cannot read",
                "a newer kubectl localize may have made it; if nobody needs it:"
                f" `kubectl delete lease -n {entry.namespace} {entry.name}`",
            )
        entries = await journals(self._runtime.api, [entry.namespace])
        held = [journal for journal in entries if journal.session == holder.session]
        return exposed_already(self._asked, held or [holder], self._runtime.now(), self._judge.advice)

    async def _renew(self) -> None:
        """Tell colleagues that we live, as long as we do."""
        while True:
            await self._runtime.clock.sleep(journal.RENEW_SECONDS)
            for number, entry in enumerate(self._entries):
                try:
                    self._entries[number] = await self._renewed(entry)
                except KubectlError as error:
                    log.info("renewing the journal of %s: %s", entry.workload, error.message)
                except LocalizeError as error:
                    self._waiter.end(error)
                    return

    async def _renewed(self, entry: Entry) -> Entry:
        """Write a journal with a new time, and return it.

        Raises:
            LocalizeError: it is gone.
            KubectlError: it cannot be written.
        """
        wanted = journal.renewed(entry, self._runtime.now())
        try:
            lease = await self._runtime.api.replace(entry.path, self._manifest(wanted))
        except (ConflictError, NotFoundError):  # the answer to the last one was lost, or somebody has deleted it
            return await self._look(entry)
        return replace(wanted, version=lease["metadata"]["resourceVersion"])

    async def _look(self, entry: Entry) -> Entry:
        current = await journal_at(self._runtime.api, entry.path)
        if current is None or current.session != entry.session:
            raise LocalizeError(f"the journal of {entry.workload} is gone: somebody has ended this exposure by hand")
        return current
