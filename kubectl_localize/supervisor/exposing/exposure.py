"""One exposure: its way up, its life, and its way back (docs/exposing.md)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.journal import Owner
from kubectl_localize.cluster.exposing.status import is_lost, is_running, not_in_time, refused, trouble
from kubectl_localize.cluster.exposing.values import ExposurePlan, Provenance
from kubectl_localize.cluster.objects import is_ready
from kubectl_localize.errors import ForbiddenError, InvalidError, KubectlError, LocalizeError
from kubectl_localize.ls_document import ExposureItem, rfc3339
from kubectl_localize.model import Status
from kubectl_localize.supervisor.exposing import waiter
from kubectl_localize.supervisor.exposing.handover import hand_over
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.supervisor.exposing.journals import Journals
from kubectl_localize.supervisor.exposing.local import LocalEnds
from kubectl_localize.supervisor.exposing.ls_item import item
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.exposing.plan import journal_entries
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.supervisor.exposing.proof import send_proof
from kubectl_localize.supervisor.exposing.rollback import QUIET_SECONDS, Rollback
from kubectl_localize.supervisor.exposing.scaled_workloads import ScaledWorkloads
from kubectl_localize.supervisor.exposing.tunnel import Keys, make_keys, remove_keys
from kubectl_localize.supervisor.exposing.waiter import EndingError, Waiter
from kubectl_localize.supervisor.processes.port_forward import Target

log = logging.getLogger(__name__)

POD_SECONDS = 120.0
CONNECT_SECONDS = 30.0
LEAVE_SECONDS = 120.0
RESTORING_HOLD_SECONDS = 60.0  # the local process has gone for good; its clients wait for the workload
SYNC_SECONDS = QUIET_SECONDS + 0.3  # until kube-proxy has begun its work on a change, and what that may take
LOOK_SECONDS = 2.0
QUIET_LOOK_SECONDS = 0.05  # that nothing changes is told by the clock alone
RETRY_SECONDS = (0.3, 1.0, 3.0, 5.0)

Step = Callable[[str], None]
StartCommand = Callable[[], Awaitable[None]]


class Exposure:
    """Brings a local process in front of Services, keeps it there, and takes it back.

    Args:
        owner: who we are, for the journal.
        step: takes each step as it is done, in words.
        doing: takes what is waited for from now on, in words.
        changed: called when `ls` would show something else.
        start_command: starts the local process, once all checks have passed; None where it runs already.
    """

    def __init__(
        self,
        plan: ExposurePlan,
        means: Means,
        owner: Owner,
        *,
        step: Step,
        doing: Step = lambda text: None,
        start_command: StartCommand | None = None,
    ) -> None:
        self.plan = plan
        self.status = Status.EXPOSING
        self.reason = ""
        self.failure: LocalizeError | None = None
        self.since = means.now()
        self.step = step
        self.doing = doing
        self.exposed = asyncio.Event()
        self.done = asyncio.Event()
        self._means = means
        self._start_command = start_command
        entries = journal_entries(plan, owner, self.since)
        self._replaced = ScaledWorkloads(means.api, plan.workloads)
        self._journals = Journals(entries, plan.services[0], means, lost=self._end_with)
        self._about = Provenance(str(owner), owner.login, rfc3339(self.since), self._journals.undo)
        self._patience = Waiter(means.changed, means.clock.now)
        self._keys: Keys | None = None
        self._pods: ExposurePods | None = None
        self._ends = LocalEnds(plan.ports, means)
        services = sorted({key.name for port in plan.ports for key, _ in port.services})
        self._observed = ExposureInformer(
            means.transport,
            plan.namespace,
            plan.session,
            services,
            changed=means.changed,
            clock=means.clock,
            reachability=means.link,
        )

    # -- its life -----------------------------------------------------------------------------------------------------
    def end(self) -> None:
        """Begin the way back, wherever it is now; `done` is set when nothing is left."""
        self._patience.end()

    def _end_with(self, failure: LocalizeError) -> None:
        self.failure = failure
        self.end()

    async def run(self) -> None:
        """Live, from the first check to the last undo; what went wrong is in `failure`."""
        try:
            await self._up()
            self._show(Status.EXPOSED, "")
            self.exposed.set()
            await self._stay()
        except EndingError:
            pass
        except Exception as error:
            self._fail(error)
        finally:
            try:
                await self._down()
            finally:  # whatever happens: somebody waits for it
                self.done.set()
                self._means.changed.fire()

    def _fail(self, error: Exception) -> None:
        if isinstance(error, LocalizeError):
            self.failure = error
            return
        log.exception("exposure of %s", self.plan.services[0], exc_info=error)
        self.failure = LocalizeError(f"internal error: {error}", "see `kubectl localize logs`, and please report it")

    async def prepare(self) -> None:
        """The last checks, for which keys are needed; nothing is changed in the cluster.

        Raises: LocalizeError.
        """
        loop = asyncio.get_running_loop()
        with self._what_this_machine_refuses():
            self._keys = await loop.run_in_executor(None, make_keys, self._means.directory, self.plan.session)
            await self._ends.listen()
        ends = (self._ends.ports, self._ends.heartbeat)
        self._pods = ExposurePods(self.plan, self._means, self._keys, self._about, *ends)
        try:
            await self._pods.try_out()
        except (InvalidError, ForbiddenError) as error:
            raise refused(error, self.plan.namespace) from error

    async def discard(self) -> None:
        """Put away what `prepare` made."""
        await self._ends.close()
        try:
            remove_keys(self._means.directory, self.plan.session)
        except OSError as error:
            log.warning("keys of %s: %s", self.plan.session, error)

    @contextlib.contextmanager
    def _what_this_machine_refuses(self) -> Iterator[None]:
        """Says in a sentence that a disk is full, or no descriptor is left."""
        try:
            yield
        except OSError as error:
            raise LocalizeError(
                f"an exposure cannot be prepared on this machine: {error.strerror or error}",
                f"its files are made in {self._means.directory}",
            ) from error

    # -- the way up ---------------------------------------------------------------------------------------------------
    async def _up(self) -> None:
        with self._what_this_machine_refuses():
            await self._means.record.add(self.plan.session, self.plan.namespace)
        if self._pods is None:
            await self.prepare()
        assert self._pods is not None
        self.step("checks passed")
        if self._start_command is not None:
            await self._patience.unless_ending(self._start_command())
        await self._journals.write(self._patience.go_on)
        self._patience.go_on()
        await self._pods.make_secret()
        self._patience.go_on()
        await self._pods.make_first()
        self.doing(f"waiting for exposure pod {self._pods.name} to run")
        await self._observed.begin()
        await self._until(lambda: self._pod_is(is_running), POD_SECONDS, "running")
        if self._start_command is not None:  # the pod shares the Service's traffic from the moment it is connected
            if silent := self._ends.silent():
                self.doing(f"waiting for the command to listen on {silent}")
            await self._until(lambda: not self._ends.nothing_listens(), POD_SECONDS, "", self._ends.nothing_listens)
        self._pods.connect()
        self.doing(f"connecting exposure pod {self._pods.name} with this machine")
        await self._until(lambda: self._pod_is(is_ready), CONNECT_SECONDS, "Ready")
        self.step(f"exposure pod {self._pods.name} Ready")
        await self._prove()
        self.doing("waiting until the cluster sends to the exposure pod")
        await self._until(
            self._is_served, CONNECT_SECONDS, "an endpoint of the Service", look_seconds=QUIET_LOOK_SECONDS
        )
        await self._scale_down()

    async def _prove(self) -> None:
        """A nonce sent to the pod's port has to come out at our listener, before anything depends on it."""
        assert self._pods is not None
        port = next(port for port in self.plan.ports if port.asked)
        nonce = secrets.token_bytes(24)
        local = self._ends.ports[port.number]
        local.expect(nonce)
        try:
            target = Target(self.plan.namespace, self._pods.name, port.number)
            await self._patience.unless_ending(send_proof(self._means.forwarder, target, nonce))
        finally:
            local.expect_no_more()
        self.step(f"port {port.number} of the pod leads here")

    async def _scale_down(self) -> None:
        if self.plan.workloads:
            done = await self._replaced.scale_down(self._patience.go_on)
            self.doing(f"waiting for the pods of {self._replaced.describe} to end")
            await self._until(lambda: not self._others(), LEAVE_SECONDS, "the only endpoint")
            self.doing("waiting until the nodes have followed")  # of which nobody tells us
            await self._patience.unless_ending(self._means.clock.sleep(SYNC_SECONDS))
            self.step(done)

    # -- while it lives -----------------------------------------------------------------------------------------------
    async def _stay(self) -> None:
        failures = 0
        while True:
            self._patience.go_on()
            assert self._pods is not None
            pod = self._pod()
            fired = failsafe.fired(pod) if pod is not None else ""
            if fired:
                raise LocalizeError(
                    f"the failsafe has brought {self._replaced.describe} back ({fired}), as this machine was gone",
                    "expose it again; --failsafe sets the time",
                )
            if is_lost(pod) and self._means.link.up:
                try:
                    await self._replace_pod(pod)
                    failures = 0
                except KubectlError as error:
                    self._show(Status.BACKOFF, f"the exposure pod is gone: {error.message}")
                    await self._patience.pause(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                    failures += 1
                continue
            if pod is not None and is_running(pod) and self._pods.remote is None:
                self._pods.connect()
            await self._pods.disconnect(there=self._observed.pods.keys() | {self._pods.name})
            await self._look(pod)
            await self._patience.pause(LOOK_SECONDS)

    async def _replace_pod(self, lost: dict[str, Any] | None) -> None:
        assert self._pods is not None
        await self._journals.must_be_there()
        old = self._pods.name
        await self._pods.make_pod()
        if lost is not None and not lost["metadata"].get("deletionTimestamp"):
            await self._pods.delete_pod(old)
        self.step(f"exposure pod {old} is gone, now {self._pods.name}")
        with contextlib.suppress(LocalizeError):
            await self._until(lambda: self._pods is not None and self._pods.name in self._observed.pods, 10.0, "")

    async def _look(self, pod: dict[str, Any] | None) -> None:
        """Work out what `ls` shows."""
        assert self._pods is not None
        remote = self._pods.remote
        if not self._means.link.up:
            self._show(Status.BACKOFF, "the API server does not answer")
        elif pod is None or not is_ready(pod):
            why = trouble(pod)[0] if pod is not None else ""
            broken = remote.problem if remote is not None else ""
            self._show(Status.BACKOFF, why or broken or "the exposure pod is not Ready")
        elif silent := self._ends.nothing_listens():
            self._show(Status.EXPOSED, silent)
        elif self.plan.workloads and self._others():
            self._show(Status.EXPOSED, await self._replaced.scaled_by_others())
        else:
            self._show(Status.EXPOSED, "")

    async def renewed(self) -> None:
        """The API server is back after it was away: what still looks connected may be dead."""
        if self._pods is not None:
            await self._pods.renew()

    # -- the way back -------------------------------------------------------------------------------------------------
    async def _down(self) -> None:
        handing = None
        try:
            self._show(Status.RESTORING, "")
            self._journals.stop()
            if self.exposed.is_set() and self._ends.nothing_listens():
                handing = self._hand_over()
            await self._bring_back()
        except Exception as error:
            log.warning("the way back: %s", error)
            self._fail(error)
        try:
            await self._let_go(handing)
        except Exception as error:
            self._fail(error)

    async def _bring_back(self) -> None:
        if self._journals.written:
            entries = self._replaced.to_undo(self._journals.written)
            await Rollback(self._means.api, entries, self._means.clock, self.step, self.doing).run()
        try:
            await self._means.record.remove(self.plan.session)
        except (OSError, LocalizeError) as error:  # the next start finds nothing, and tries it again
            log.warning("the record of %s: %s", self.plan.session, error)

    async def _let_go(self, handing: asyncio.Task[None] | None) -> None:
        """End what serves the exposure on this machine."""
        try:
            if handing is not None:
                handing.cancel()
                await asyncio.wait((handing,))
            if self._pods is not None:
                await self._pods.disconnect()
            await self._observed.end()
        finally:
            await self.discard()

    def _hand_over(self) -> asyncio.Task[None]:
        """The local process has ended: its clients are held until one of the workload's pods can take them."""
        self._ends.hold(RESTORING_HOLD_SECONDS)
        return asyncio.create_task(
            hand_over(self._means, self.plan.namespace, self._ends.ports, lambda: sorted(self._others()))
        )

    # -- what it waits for --------------------------------------------------------------------------------------------
    async def _until(
        self,
        condition: Callable[[], bool],
        seconds: float,
        what: str,
        why: Callable[[], str] = lambda: "",
        look_seconds: float = waiter.LOOK_SECONDS,
    ) -> None:
        """Wait for a condition.

        Raises: LocalizeError when the time is up, or the pod cannot start; its words are those of `not_in_time`.
        """
        await self._patience.until(
            condition,
            seconds,
            hopeless=lambda: self._trouble()[1],
            failure=lambda: self._not_in_time(what, why()),
            look_seconds=look_seconds,
        )

    def _not_in_time(self, what: str, why: str) -> LocalizeError:
        assert self._pods is not None
        remote = self._pods.remote
        problem = self._trouble()[0] or (remote.problem if remote is not None else "")
        return not_in_time(self._pods.name, self.plan.namespace, what, why=why, problem=problem)

    def _trouble(self) -> tuple[str, bool]:
        pod = self._pod()
        return trouble(pod) if pod is not None else ("", False)

    def _pod_is(self, state: Callable[[dict[str, Any]], bool]) -> bool:
        pod = self._pod()
        return pod is not None and state(pod)

    def _pod(self) -> dict[str, Any] | None:
        """The exposure pod, as the cluster shows it."""
        return self._observed.pods.get(self._pods.name) if self._pods is not None else None

    def _is_served(self) -> bool:
        """Whether all Services that were asked for know our pod, and kube-proxy has had the time to hear of it."""
        assert self._pods is not None
        known = all(self._pods.name in self._observed.ready(key) for key in self.plan.services)
        return known and self._observed.quiet_seconds >= QUIET_SECONDS

    def _others(self) -> set[str]:
        """The pods besides ours that get traffic of these Services."""
        return self._observed.others(self.plan.services)

    # -- what ls shows ------------------------------------------------------------------------------------------------
    def _show(self, status: Status, reason: str) -> None:
        if (self.status, self.reason) != (status, reason):
            self.status, self.reason = status, reason
            self._means.changed.fire()

    def items(self, context: str) -> list[ExposureItem]:
        """The items of the `ls` document, one for each Service that was asked for."""
        pod = self._pods.name if self._pods is not None else ""
        return [
            item(
                self.plan, key, self._ends.ports,
                context=context, status=self.status, reason=self.reason, pod=pod, since=self.since,
            )
            for key in self.plan.services
        ]  # fmt: skip
