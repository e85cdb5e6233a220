"""The way from the exposure pod to this machine: `ssh -R` over a `kubectl port-forward`, renewed whenever it breaks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from kubectl_localize.cluster.watch import Reachability
from kubectl_localize.errors import KubectlError
from kubectl_localize.host import ssh
from kubectl_localize.supervisor.exposing.remote_forward import RemoteForward
from kubectl_localize.supervisor.processes.port_forward import PortForward, PortForwarder, Target
from kubectl_localize.supervisor.processes.process import Process, ProcessSpawner
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.timing import Backoff, Notifier, first_of

log = logging.getLogger(__name__)

RETRY = Backoff(first_seconds=0.1, longest_seconds=1.0)
STABLE_SECONDS = 10.0
FORWARD_SECONDS = 15.0  # longer than kubectl itself waits for the pod to run


class Tunnel:
    """Keeps one pod connected until it is ended.

    Args:
        target: the pod's sshd.
        remote_forward: the `ssh -R`.
        forwarder: starts the port-forward.
        ssh_spawner: starts the `ssh -R`.
        probe: knows whether the API server can be reached.
        clock: seconds, monotonic.
        changed: fired when it connects or breaks.

    Attributes:
        restarts: how often it has connected anew; -1 before the first time.
        problem: why it is not connected; empty while it is.
    """

    def __init__(
        self,
        target: Target,
        remote_forward: RemoteForward,
        *,
        forwarder: PortForwarder,
        ssh_spawner: ProcessSpawner,
        probe: Reachability,
        clock: Callable[[], float],
        changed: Notifier,
    ) -> None:
        self._target = target
        self._remote_forward = remote_forward
        self._forwarder = forwarder
        self._ssh_spawner = ssh_spawner
        self._probe = probe
        self._clock = clock
        self._changed = changed
        self._tasks = Tasks()
        self._processes: list[PortForward | Process] = []
        self.restarts = -1
        self.problem = ""

    def begin(self) -> None:
        """Connect, and keep connected from then on."""
        self._tasks.start(self._run(), f"the tunnel to {self._target}")

    async def renew(self) -> None:
        """Replace the connection by a new one, since the old one may be dead without a sign."""
        await asyncio.gather(*(process.stop() for process in self._processes), return_exceptions=True)

    async def end(self) -> None:
        """Disconnect."""
        await self._tasks.end()
        await self.renew()  # the task may have been stopping them itself when it was cancelled
        self._processes = []

    async def _run(self) -> None:
        """Connect again and again, at once after a connection that lasted, later after each failure."""
        failures = 0
        while True:
            await self._probe.wait_up()
            began = self._clock()
            self.restarts += 1
            try:
                self.problem = await self._once()
            except KubectlError as error:
                self.problem = str(error)
            except Exception as error:  # the exposure stands and falls with it: log it, and try again
                log.exception("ssh -R")
                self.problem = f"internal error: {error}"
            finally:
                await self.renew()
                self._processes = []
            log.warning("ssh -R: %s", self.problem)
            self._changed.fire()
            failures = 0 if self._clock() - began > STABLE_SECONDS else failures + 1
            await asyncio.sleep(RETRY.seconds(failures))

    async def _once(self) -> str:
        """Connect once and stay until either process ends.

        Returns:
            What broke, in one sentence.

        Raises:
            KubectlError: it could not even connect.
        """
        forward = await self._forwarder.start(self._target)
        self._processes.append(forward)
        port = await forward.await_port(FORWARD_SECONDS)
        client = await self._ssh_spawner.spawn(self._remote_forward.argv(port))
        self._processes.append(client)
        self.problem = ""
        self._changed.fire()
        ended = await first_of(client.wait(), forward.ended())
        assert ended is not None  # there is no time limit
        cause = ended.result()
        return cause.message if isinstance(cause, KubectlError) else ssh.explain(client.tail)
