"""The way up of an exposure: how it takes the traffic of its Services, in an order that leaves no gap."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from kubectl_localize.cluster.exposing.environment_policy import EnvironmentChoice
from kubectl_localize.cluster.exposing.status import Trouble, is_running, not_in_time, trouble
from kubectl_localize.cluster.exposing.values import ExposurePlan
from kubectl_localize.cluster.objects import is_ready
from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.supervisor.exposing.journals import Journals
from kubectl_localize.supervisor.exposing.local import LocalEnds
from kubectl_localize.supervisor.exposing.local_command import OTHER_PORTS_SECONDS, LocalCommand
from kubectl_localize.supervisor.exposing.pods import ExposurePods
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.exposing.rollback import QUIET_SECONDS
from kubectl_localize.supervisor.exposing.scaled_workloads import ScaledWorkloads
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.switched_services import SwitchedServices
from kubectl_localize.supervisor.exposing.trial import refusals
from kubectl_localize.supervisor.exposing.waiter import LOOK_SECONDS, Waiter
from kubectl_localize.supervisor.processes.port_forward import PortForward, PortForwarder, Target
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.supervisor.tasks import give_up
from kubectl_localize.timing import all_of

log = logging.getLogger(__name__)

POD_SECONDS = 120.0
CONNECT_SECONDS = 30.0
LEAVE_SECONDS = 120.0
PROOF_SECONDS = 20.0
PROOF_ATTEMPTS = 3
SYNC_SECONDS = QUIET_SECONDS + 0.3  # until kube-proxy has begun its work on a change, and what that may take
QUIET_LOOK_SECONDS = 0.05  # that nothing changes is told by the clock alone

Pod = dict[str, Any]


class Takeover:
    """Makes the exposure's objects, connects its pod with this machine, and scales the workloads down last.

    Args:
        ledger: this machine's own record; the session is in it before the cluster hears of it.
        waiter: ends every wait when the exposure is to end.
        command: as in `Exposure`.
    """

    def __init__(
        self,
        plan: ExposurePlan,
        runtime: Runtime,
        *,
        ledger: SessionLedger,
        journals: Journals,
        pods: ExposurePods,
        ends: LocalEnds,
        informer: ExposureInformer,
        workloads: ScaledWorkloads,
        switched: SwitchedServices,
        waiter: Waiter,
        progress: Progress,
        command: EnvironmentChoice | None,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._ledger = ledger
        self._journals = journals
        self._pods = pods
        self._ends = ends
        self._informer = informer
        self._workloads = workloads
        self._switched = switched
        self._waiter = waiter
        self._progress = progress
        self._known_trouble = Trouble("", False)
        self._command = LocalCommand(plan, runtime, progress, command) if command is not None else None

    async def prepare(self) -> None:
        """Do the last checks, for which keys are needed; nothing is changed in the cluster.

        Raises:
            LocalizeError: this machine or the API server refuses something.
        """
        with self._refusals_of_this_machine():
            await all_of(self._pods.make_keys(), self._ends.listen())
        with refusals(self._plan.namespace, "Lease"):
            await self._journals.try_out()
        await self._pods.try_out()

    async def run(self) -> None:
        """Go all the way up; how far it got is in the journals, which the way back starts from.

        Raises:
            LocalizeError: it cannot be done.
            EndingError: the exposure is to end.
        """
        with self._refusals_of_this_machine():
            await self._ledger.add(self._plan.session, self._plan.namespace, self._journals.fingerprints)
        await self.prepare()
        self._progress.step("checks passed")
        if self._command is not None:
            await self._waiter.unless_ending(self._command.start())
        await self._make_pod()
        await self._connect()
        if self._plan.switched:
            await self._switch()
        else:
            await self._become_endpoint()
            await self._scale_down()

    @contextlib.contextmanager
    def _refusals_of_this_machine(self) -> Iterator[None]:
        """Say in a sentence that a disk is full, or that no descriptor is left."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                hint = "raise the limit (`ulimit -n`), `kubectl localize stop`, and start it again"
            else:
                hint = f"its files are made in {self._runtime.directory}; `df` tells whether that disk has room"
            raise LocalizeError(
                f"an exposure cannot be prepared on this machine: {error.strerror or error}",
                hint,
            ) from error

    # -- the steps ----------------------------------------------------------------------------------------------------
    async def _make_pod(self) -> None:
        with refusals(self._plan.namespace, "Lease"):
            await self._journals.write()
        self._waiter.go_on()
        with refusals(self._plan.namespace, "Secret"):
            await self._pods.make_secret()
        self._waiter.go_on()
        with refusals(self._plan.namespace, "Pod"):
            await self._pods.make_first()
        self._progress.doing(f"waiting for exposure pod {self._pods.name} to run")
        await self._informer.begin()
        await self._until(lambda: self._pod_is(is_running), POD_SECONDS, "running")

    async def _connect(self) -> None:
        """Connect the pod with this machine, and prove that it is; it is Ready, and gets traffic, only then."""
        if self._command is not None:  # the pod shares the Service's traffic from the moment it is connected
            await self._await_command(self._command)
        name = self._pods.name
        self._pods.connect()
        self._progress.doing(f"connecting exposure pod {name} with this machine")
        heard = self._ends.heartbeat.heard
        await self._until(
            lambda: heard.is_set() or self._pod_is(is_ready), CONNECT_SECONDS, "Ready", look_seconds=QUIET_LOOK_SECONDS
        )
        proving = asyncio.create_task(self._prove())  # meanwhile the kubelet asks once more, and tells the API server
        try:
            await self._until(lambda: self._pod_is(is_ready), CONNECT_SECONDS, "Ready")
            self._progress.step(f"exposure pod {name} Ready")
            self._progress.step(await proving)
        finally:
            await give_up(proving, "proving that the pod leads here")

    async def _await_command(self, command: LocalCommand) -> None:
        """Wait until the command listens, and say who gets the traffic."""
        if silent := self._ends.silent():
            self._progress.doing(f"waiting for the command to listen on {silent[0].local}")
        looking = asyncio.create_task(command.look_elsewhere())
        try:
            await self._until(command.listens, POD_SECONDS, "", failure=command.not_in_time)
        finally:
            await give_up(looking, "looking where the command listens")
        began = self._runtime.clock.now()
        while not command.listens_on_all() and self._runtime.clock.now() - began < OTHER_PORTS_SECONDS:
            self._waiter.go_on()
            await self._waiter.pause(LOOK_SECONDS)
        self._ends.look()
        await command.tell()

    async def _prove(self) -> str:
        """Send a nonce to the pod's port; it has to come out at our listener before anything depends on it.

        Returns:
            What was proven, in words.
        """
        port = next(port for port in self._plan.ports if port.asked)
        nonce = secrets.token_bytes(24)
        local = self._ends.ports[port.number]
        local.expect(nonce)
        try:
            target = Target(self._plan.namespace, self._pods.name, port.number)
            await self._waiter.unless_ending(send_proofs(self._runtime.forwarder, target, nonce))
        finally:
            local.expect_no_more()
        return f"port {port.number} of the pod leads here"

    async def _become_endpoint(self) -> None:
        self._progress.doing("waiting until the cluster sends to the exposure pod")
        await self._until(
            self._is_served, CONNECT_SECONDS, "an endpoint of the Service", look_seconds=QUIET_LOOK_SECONDS
        )

    def _is_served(self) -> bool:
        """Whether all exposed Services have our pod as an endpoint, and kube-proxy has had the time to hear of it."""
        known = all(self._pods.name in self._informer.ready(key) for key in self._plan.services)
        return known and self._informer.quiet_seconds >= QUIET_SECONDS

    async def _switch(self) -> None:
        done = await self._switched.switch(self._waiter)
        self._progress.doing("waiting until the cluster sends to the exposure pod alone")
        await self._until(self._is_alone, CONNECT_SECONDS, "the only endpoint", look_seconds=QUIET_LOOK_SECONDS)
        await self._let_nodes_follow()
        self._progress.step(done)

    def _is_alone(self) -> bool:
        """Whether our pod is the only endpoint of all exposed Services."""
        return all(self._informer.ready(key) == {self._pods.name} for key in self._plan.services)

    async def _let_nodes_follow(self) -> None:
        self._progress.doing("waiting until the nodes have followed")  # they tell nobody
        await self._waiter.unless_ending(self._runtime.clock.sleep(SYNC_SECONDS))

    async def _scale_down(self) -> None:
        if not self._plan.workloads:
            return
        done = await self._workloads.scale_down(self._waiter)
        self._progress.doing(f"waiting for the pods of {self._workloads.names} to end")
        kept = set(self._plan.kept_pods)
        await self._until(
            lambda: self._informer.others(self._plan.services) <= kept, LEAVE_SECONDS, "the only endpoint"
        )
        await self._let_nodes_follow()
        self._progress.step(done)

    # -- what it waits for --------------------------------------------------------------------------------------------
    async def _until(
        self,
        condition: Callable[[], bool],
        seconds: float,
        what: str,
        failure: Callable[[], LocalizeError] | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        """Wait for a condition.

        Args:
            what: as for `not_in_time`.
            failure: the error if it is not the pod that is waited for.

        Raises:
            LocalizeError: the time is up, or the pod cannot start.
            EndingError: the exposure is to end.
        """
        await self._waiter.until(
            condition,
            seconds,
            hopeless=lambda: self._trouble().hopeless,
            failure=lambda: (
                failure() if failure is not None and not self._trouble().hopeless else self._not_in_time(what)
            ),
            look_seconds=look_seconds,
        )

    def _not_in_time(self, what: str) -> LocalizeError:
        tunnel = self._pods.tunnel
        problem = self._trouble()
        if not problem.text and tunnel is not None:
            problem = Trouble(tunnel.problem, False)
        return not_in_time(self._pods.name, self._plan.namespace, what, problem=problem)

    def _trouble(self) -> Trouble:
        pod = self._informer.pods.get(self._pods.name)
        if pod is not None:
            self._known_trouble = trouble(pod).with_what_was_known(self._known_trouble)
        return self._known_trouble

    def _pod_is(self, state: Callable[[Pod], bool]) -> bool:
        pod = self._informer.pods.get(self._pods.name)
        return pod is not None and state(pod)


async def send_proofs(forwarder: PortForwarder, target: Target, nonce: bytes) -> None:
    """Send a nonce as `send_proof` does, once more if that fails: on a busy machine it may come too late for us.

    Raises:
        LocalizeError: the last attempt has failed, too.
    """
    for left in reversed(range(PROOF_ATTEMPTS)):
        try:
            await send_proof(forwarder, target, nonce)
            return
        except LocalizeError as error:
            if not left:
                raise
            log.info("%s: %s", target, error.message)


async def send_proof(forwarder: PortForwarder, target: Target, nonce: bytes) -> None:
    """Send a nonce through a port-forward of its own, and read it back.

    Args:
        target: the exposure pod's port.

    Raises:
        KubectlError: the port-forward cannot be started.
        LocalizeError: something else comes back, or nothing within 20 s.
    """
    answer = b""
    async with await forwarder.start(target) as forward:
        try:
            async with asyncio.timeout(PROOF_SECONDS):
                await forward.await_port()
                answer = await _echo(forward, nonce)
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass
    if answer != nonce:
        raise LocalizeError(
            "a test connection through the exposure pod did not arrive here",
            "try again; `kubectl localize logs` says what ssh and kubectl said",
        )


async def _echo(forward: PortForward, nonce: bytes) -> bytes:
    """Connect to the port-forward, send the nonce, and return as many bytes as came back for it."""
    reader, writer = await asyncio.open_connection(forward.host, forward.port)
    try:
        writer.write(nonce)
        return await reader.readexactly(len(nonce))
    finally:
        writer.close()
