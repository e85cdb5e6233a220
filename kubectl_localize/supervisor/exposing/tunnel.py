"""The way from the exposure pod to this machine: `ssh -R` over a `kubectl port-forward`, renewed whenever it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.exposing.values import object_name
from kubectl_localize.errors import KubectlError
from kubectl_localize.host import ssh
from kubectl_localize.supervisor.processes.process import Process, SpawnProcess
from kubectl_localize.timing import Notifier


@dataclass(frozen=True)
class Keys:
    """What one session logs in with.

    Args:
        client, host: the client's and the pod's key pair.
        identity, known_hosts: the client's files, for this user only.
    """

    client: ssh.KeyPair
    host: ssh.KeyPair
    identity: Path
    known_hosts: Path


def make_keys(directory: Path, session: str) -> Keys:
    """Make both key pairs; the host's private half is in memory only when this returns.

    Raises: LocalizeError where there is no OpenSSH; OSError.
    """
    client = ssh.make_key(directory, f"ssh-{session}")
    host_name = f"host-{session}"
    host = ssh.make_key(directory, host_name)
    for name in (host_name, f"{host_name}.pub"):
        (directory / name).unlink(missing_ok=True)
    known_hosts = directory / f"known-{session}"
    known_hosts.write_text(ssh.known_hosts_line(object_name(session), host.public) + "\n")
    known_hosts.chmod(0o600)
    return Keys(client, host, directory / f"ssh-{session}", known_hosts)


def remove_keys(directory: Path, session: str) -> None:
    """Delete a session's files."""
    for name in (f"ssh-{session}", f"ssh-{session}.pub", f"host-{session}", f"host-{session}.pub", f"known-{session}"):
        (directory / name).unlink(missing_ok=True)


log = logging.getLogger(__name__)

RETRY_SECONDS = (0.1, 0.2, 0.3, 0.5, 1.0)
STABLE_SECONDS = 10.0
FORWARD_SECONDS = 15.0  # longer than kubectl itself waits for the pod to run


class Tunnel:
    """Keeps one pod connected until it is ended.

    Args:
        forward: the command line of the port-forward to the pod's sshd, on a local port of kubectl's choice.
        client: the command line of the `ssh -R` through that local port.
        spawn_kubectl, spawn_ssh: start these.
        reachable: returns once the API server can be reached.
        changed: fired when it connects or breaks.
    """

    def __init__(
        self,
        forward: Sequence[str],
        client: Callable[[int], Sequence[str]],
        *,
        spawn_kubectl: SpawnProcess,
        spawn_ssh: SpawnProcess,
        reachable: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        changed: Notifier,
    ) -> None:
        self._forward = forward
        self._client = client
        self._spawn_kubectl = spawn_kubectl
        self._spawn_ssh = spawn_ssh
        self._reachable = reachable
        self._clock = clock
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._processes: list[Process] = []
        self.restarts = -1
        self.problem = ""

    def begin(self) -> None:
        """Connect, and keep connected from then on."""
        self._task = asyncio.create_task(self._run())

    async def renew(self) -> None:
        """Give up what is there, which may be dead without knowing it, for a fresh connection."""
        await asyncio.gather(*(process.stop() for process in self._processes))

    async def end(self) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None
            await self.renew()  # the task may have been stopping them itself when it was cancelled
            self._processes = []

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._reachable()
            began = self._clock()
            self.restarts += 1
            try:
                self.problem = await self._once()
            except (OSError, KubectlError) as error:
                self.problem = str(error)
            finally:
                await self.renew()
                self._processes = []
            log.warning("ssh -R: %s", self.problem)
            self._changed.fire()
            failures = 0 if self._clock() - began > STABLE_SECONDS else failures + 1
            await asyncio.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])

    async def _once(self) -> str:
        """Connect once and stay until it breaks; what broke."""
        forward = await self._spawn_kubectl(self._forward)
        self._processes.append(forward)
        port = await self._local_port(forward)
        if port is None:
            return kubectl.explain(forward.tail, 1).message
        client = await self._spawn_ssh(self._client(port))
        self._processes.append(client)
        draining = asyncio.create_task(_drain(forward))
        forward_end, client_end = asyncio.create_task(forward.wait()), asyncio.create_task(client.wait())
        self.problem = ""
        self._changed.fire()
        try:
            await asyncio.wait((forward_end, client_end), return_when=asyncio.FIRST_COMPLETED)
            if client_end.done():
                return ssh.explain(client.tail)
            return kubectl.explain(forward.tail, forward_end.result()).message
        finally:
            for task in (draining, forward_end, client_end):
                task.cancel()

    async def _local_port(self, forward: Process) -> int | None:
        """The port that kubectl listens on; None where it ended instead, or did not come to it in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FORWARD_SECONDS):
                while line := await forward.stdout.readline():
                    port = kubectl.forwarding_port(line.decode(errors="replace"))
                    if port is not None:
                        return port
                await forward.wait()
        return None


async def _drain(process: Process) -> None:
    while await process.stdout.readline():
        pass
