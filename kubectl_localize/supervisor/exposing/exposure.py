"""One exposure: its life, from the first check to the last undo, and what `ls` shows of it (docs/exposing.md)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

from kubectl_localize.cluster.exposing.environment_policy import EnvironmentChoice
from kubectl_localize.cluster.exposing.journal import Owner
from kubectl_localize.cluster.exposing.shape import followed_options
from kubectl_localize.cluster.exposing.values import CarriedPort, ExposurePlan, Provenance
from kubectl_localize.errors import LocalizeError
from kubectl_localize.ls_document import ExposureItem, ExposurePort, Status, WorkloadItem, rfc3339
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.announcement import Announcement
from kubectl_localize.supervisor.exposing.comeback import Comeback, last_words, shortfall
from kubectl_localize.supervisor.exposing.handover import hand_over
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.supervisor.exposing.journals import Journals
from kubectl_localize.supervisor.exposing.local import LocalEnds
from kubectl_localize.supervisor.exposing.plan import journal_entries
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.supervisor.exposing.postponed import postponed
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.exposing.rollback import Rollback
from kubectl_localize.supervisor.exposing.scaled_workloads import ScaledWorkloads
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.supervisor.exposing.switched_services import SwitchedServices
from kubectl_localize.supervisor.exposing.takeover import Takeover
from kubectl_localize.supervisor.exposing.upkeep import LOOK_SECONDS, Upkeep
from kubectl_localize.supervisor.exposing.waiter import EndingError, Waiter
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.supervisor.tasks import give_up
from kubectl_localize.timing import Backoff

log = logging.getLogger(__name__)

RESTORING_HOLD_SECONDS = 60.0  # the local process has gone for good; its clients wait for the workload
BETWEEN_ATTEMPTS = Backoff(first_seconds=2.0, longest_seconds=15.0)  # each may have a credential plugin ask its user


class Exposure:
    """Brings a local process in front of Services, keeps it there, and takes it back.

    Args:
        plan: what is exposed, and how.
        owner: who we are, for the journal.
        ledger: this machine's own record of what it has begun.
        judge: says what to do about a session that holds what we want.
        progress: hears of every step. Replaced when another command ends the exposure.
        command: of a local process that the command line starts once all checks have passed, the variables that the
            user has named; None if it starts none.

    Attributes:
        status, reason: what `ls` shows.
        failure: what went wrong, for good; None if nothing did.
        postponed: why the way back cannot be walked at the moment; None if it can. It is tried again until it is done.
        exposed: set when all traffic comes here.
        settled: set when the way back has been walked, or cannot be for now.
        done: set when nothing of it is left.
    """

    def __init__(
        self,
        plan: ExposurePlan,
        runtime: Runtime,
        owner: Owner,
        *,
        ledger: SessionLedger,
        judge: Judge,
        progress: Progress,
        command: EnvironmentChoice | None = None,
    ) -> None:
        self.plan = plan
        self.progress = progress
        self.status = Status.EXPOSING
        self.reason = ""
        self.failure: LocalizeError | None = None
        self.postponed: LocalizeError | None = None
        self.since = runtime.now()
        self.exposed = asyncio.Event()
        self.settled = asyncio.Event()
        self.done = asyncio.Event()
        self._asked_again = asyncio.Event()
        self._runtime = runtime
        self._ledger = ledger
        self._workloads = ScaledWorkloads(runtime.api, plan.workloads, runtime.clock)
        self._switched = SwitchedServices(runtime.api, plan.switched, plan.session)
        entries = journal_entries(plan, owner, self.since)
        self._waiter = Waiter(runtime.changed, runtime.clock.now)
        self._journals = Journals(
            entries,
            plan.services[0],
            runtime,
            judge,
            self._waiter,
            options=plan.options,
            followed=followed_options(plan),
        )
        self._ends = LocalEnds(plan.ports, runtime)
        provenance = Provenance(str(owner), owner.login, rfc3339(self.since), self._journals.undo)
        self._pods = ExposurePods(plan, runtime, provenance, self._ends)
        self._informer = ExposureInformer(
            runtime.transport,
            plan.namespace,
            plan.session,
            sorted({key.name for port in plan.ports for key, _ in port.services}),
            exposed=[key.name for key in plan.services],
            changed=runtime.changed,
            clock=runtime.clock,
            reachability=runtime.probe,
        )
        self._announcement = Announcement(runtime, plan, provenance, informer=self._informer, pods=self._pods)
        self._upkeep = Upkeep(
            plan,
            runtime,
            journals=self._journals,
            pods=self._pods,
            ends=self._ends,
            informer=self._informer,
            workloads=self._workloads,
            switched=self._switched,
        )
        self._takeover = Takeover(
            plan,
            runtime,
            ledger=ledger,
            journals=self._journals,
            pods=self._pods,
            ends=self._ends,
            informer=self._informer,
            workloads=self._workloads,
            switched=self._switched,
            waiter=self._waiter,
            progress=progress,
            command=command,
        )

    # -- its life -----------------------------------------------------------------------------------------------------
    async def prepare(self) -> None:
        """Do the last checks; nothing is changed in the cluster.

        Raises:
            LocalizeError: this machine or the API server refuses something.
        """
        await self._takeover.prepare()

    async def run(self) -> None:
        """Run the whole exposure, from the first check to the last undo; `failure` says what went wrong."""
        try:
            await self._takeover.run()
            self._show(Status.EXPOSED, "")
            self.exposed.set()
            self._announcement.begin()
            await self._stay()
        except EndingError:
            self.failure = self._waiter.failure
        except Exception as error:
            self._fail(error)
            if self.failure is not None and self._journals.written:  # its cause first, then what is undone
                self.progress.missed(self.failure.message)
        finally:
            try:
                await self._go_down()
            finally:  # whatever happens: somebody waits for it
                self.done.set()
                self.settled.set()
                self._runtime.changed.fire()

    def end(self) -> None:
        """Begin the way back, at any moment, or try it again at once.

        `settled` is set when it is known what came of it, `done` when nothing is left.
        """
        if not self.done.is_set():
            self.settled.clear()
        self._asked_again.set()
        self._waiter.end()

    async def renewed(self) -> None:
        """Replace every connection, as it may be dead without a sign: the API server was away."""
        await self._pods.renew()

    async def remake_files(self) -> None:
        """Write its keys and its entry in the ledger anew; raises OSError or LocalizeError."""
        await self._ledger.add(self.plan.session, self.plan.namespace, self._journals.fingerprints)
        self._pods.rewrite_keys()

    async def discard(self) -> None:
        """Delete what `prepare` made on this machine."""
        async with AsyncExitStack() as stack:
            stack.callback(self._pods.remove_keys)
            stack.push_async_callback(self._ends.close)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, LocalizeError):
            self.failure = error
            return
        log.exception("exposure of %s", self.plan.services[0], exc_info=error)
        self.failure = LocalizeError(f"internal error: {error}", "see `kubectl localize logs`, and please report it")

    # -- while it lives -----------------------------------------------------------------------------------------------
    async def _stay(self) -> None:
        while True:
            self._waiter.go_on()
            if fired := self._upkeep.fired():
                raise LocalizeError(
                    f"the failsafe has brought {self._workloads.names or self._switched.names} back ({fired}),"
                    " as this machine was gone",
                    "expose it again; --failsafe sets the time",
                )
            health = await self._upkeep.tend(self._waiter, self.progress)
            self._show(health.status, health.reason)
            await self._waiter.pause(health.pause_seconds)

    def _others(self) -> set[str]:
        """The pods besides ours that get traffic of these Services, but for those that were left running."""
        return self._informer.others(self.plan.services).difference(self.plan.kept_pods)

    # -- the way back -------------------------------------------------------------------------------------------------
    async def _go_down(self) -> None:
        """Bring the workloads back, then end what serves the exposure here; a failure of one step skips no other."""
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self.discard)
                stack.push_async_callback(self._informer.end)
                stack.push_async_callback(self._announcement.end)
                stack.push_async_callback(self._pods.disconnect)
                if self.exposed.is_set() and (silent := self._ends.silent()):
                    stack.push_async_callback(give_up, self._hand_over(silent), "handing over")
                try:
                    await self._bring_back()
                except Exception as error:
                    log.warning("the way back: %s", error)
                    self._fail(error)
        except Exception as error:
            log.warning("the end of what serves the exposure: %s", error)
            if self.failure is None:
                self._fail(error)

    async def _bring_back(self) -> None:
        """Undo everything in the cluster, and try that again until it is done; meanwhile go on serving."""
        comebacks: list[Comeback] = []
        failures = 0
        while self._journals.written:
            await self._journals.stop()
            self._asked_again.clear()
            self._show(Status.RESTORING, self.postponed.message if self.postponed is not None else "")
            entries = self._workloads.to_undo(self._journals.written)
            rollback = Rollback(
                self._runtime.api, entries, self._runtime.clock, self.progress,
                unanswered=self._workloads.unanswered | self._switched.unanswered, patient=not failures,
            )  # fmt: skip
            try:
                comebacks = await rollback.run()
                break
            except LocalizeError as error:
                failures += 1
                self._postpone(error)
            await self._serve_on(
                BETWEEN_ATTEMPTS.seconds(failures), upkeep=self.exposed.is_set() and not rollback.pods_go
            )
        await self._journals.stop()
        self.postponed = None
        try:
            await self._ledger.remove(self.plan.session)
        except (OSError, LocalizeError) as error:  # the next start sees nothing of it, and tries again
            log.warning("the ledger's entry of %s: %s", self.plan.session, error)
        self._tell_what_is_back(comebacks)

    def _tell_what_is_back(self, comebacks: Sequence[Comeback]) -> None:
        for line in last_words(comebacks):
            self.progress.back(line)
        failure, missing = self.failure, shortfall(comebacks)
        if failure is None:
            self.failure = missing
        elif self._journals.written and missing is None:
            self.failure = failure.reworded(f"{failure.message}; everything is put back", failure.hint)

    def _postpone(self, error: LocalizeError) -> None:
        log.warning("the way back, which will be tried again: %s", error.message)
        self.postponed = postponed(error, serving=self.exposed.is_set())
        self._show(Status.RESTORING, error.message)
        self.settled.set()

    async def _serve_on(self, seconds: float, *, upkeep: bool) -> None:
        """Serve until it is time for another attempt, somebody asks for one, or the API server is there again."""
        self._journals.keep()  # colleagues are to see that we live
        waiter = Waiter(self._runtime.changed, self._runtime.clock.now)  # ours says that the exposure is to end
        deadline, was_up = self._runtime.clock.now() + seconds, self._runtime.probe.up
        while self._runtime.clock.now() < deadline and not self._asked_again.is_set():
            if upkeep:
                with contextlib.suppress(LocalizeError):  # a journal is gone: the next attempt sees what is left
                    await self._upkeep.tend(waiter, self.progress)
            if self._runtime.probe.up and not was_up:
                return
            was_up = self._runtime.probe.up
            await waiter.pause(LOOK_SECONDS)

    def _hand_over(self, silent: Sequence[CarriedPort]) -> asyncio.Task[None]:
        """The local process has ended: hold its clients until one of the workload's pods can take them."""
        self._ends.hold(RESTORING_HOLD_SECONDS)
        return asyncio.create_task(
            hand_over(
                self._runtime.forwarder,
                self._runtime.changed,
                self.plan.namespace,
                {port.number: self._ends.ports[port.number] for port in silent},
                lambda: sorted(self._others()),
            )
        )

    # -- what ls shows ------------------------------------------------------------------------------------------------
    def _show(self, status: Status, reason: str) -> None:
        if (self.status, self.reason) != (status, reason):
            self.status, self.reason = status, reason
            self._runtime.changed.fire()

    def items(self, context: str) -> list[ExposureItem]:
        """The items of the `ls` document, one for each Service that was asked for."""
        return [self._item(key, context) for key in self.plan.services]

    def _item(self, key: ServiceKey, context: str) -> ExposureItem:
        ports = self._ends.ports
        return ExposureItem(
            context=context,
            namespace=key.namespace,
            name=key.name,
            status=self.status,
            reason=self.reason,
            pod=self._pods.name,
            ports=tuple(
                ExposurePort(number, port.number, self._ends.local(port), ports[port.number].traffic.open)
                for port in self.plan.ports
                for service, number in port.services
                if service == key
            ),
            workloads=tuple(
                WorkloadItem(workload.ref.kind, workload.ref.name, workload.replicas)
                for workload in self.plan.workloads
            ),
            since=rfc3339(self.since),
        )
