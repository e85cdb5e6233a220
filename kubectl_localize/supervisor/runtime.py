"""What forwards and exposures share, built once for a supervisor: transport, probe, kubectl, ssh, clocks, buffers."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import AbstractContextManager, AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from kubectl_localize.cluster import kubectl
from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.explaining import explained
from kubectl_localize.cluster.kubeconfig_content import KubeconfigContent
from kubectl_localize.cluster.transport import Transport
from kubectl_localize.errors import ConfigurationError, KubectlError, LocalizeError, UnauthorizedError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.resolve import addresses
from kubectl_localize.host.sockets import LongSocketPath, socket_address
from kubectl_localize.host.system import this_system
from kubectl_localize.model import Connection
from kubectl_localize.supervisor.access import Access
from kubectl_localize.supervisor.kubeconfig_monitor import KubeconfigMonitor
from kubectl_localize.supervisor.probe import ApiServerProbe, Renewable, probe_address
from kubectl_localize.supervisor.processes.credential_gate import CredentialGate
from kubectl_localize.supervisor.processes.port_forward import PortForwarder
from kubectl_localize.supervisor.processes.process import Groups, Spawner
from kubectl_localize.supervisor.tasks import Tasks
from kubectl_localize.supervisor.traffic.buffer import ReadBuffer
from kubectl_localize.supervisor.traffic.server import RefusalLog
from kubectl_localize.timing import Clock, Notifier

JOIN_SECONDS = 5.0


class Runtime:
    """See the module. It is a context: within it the API server is probed; at its end the proxy is gone.

    To make one raises a LocalizeError if the server's URL cannot be.

    Attributes:
        connection: which cluster, and as whom.
        transport, api: the way to its API.
        kubectl, forwarder: start port-forwards, behind the one credential gate.
        ssh: starts ssh.
        probe: whether the API server can be reached.
        access: whether it accepts what the kubeconfig says.
        changed: fired when anything changes that somebody may wait for.
        clock: seconds, monotonic, and a pause.
        buffer: what relayed bytes pass through; counts them.
        refusals: counts the connections that are given up.
        peers: who is at the other end of a loopback connection.
        directory: the supervisor's files (mode 0700).
    """

    def __init__(self, connection: Connection, paths: RunPaths, groups: Groups) -> None:
        address = probe_address(connection)  # raises before anything is open
        self._spawner = spawner = Spawner(
            groups, kubectl.environment(connection, os.environ), directory=_directory(connection)
        )
        self.connection = connection
        self.paths = paths
        self.directory = paths.directory
        self.system = this_system()
        self.clock = Clock(time.monotonic, asyncio.sleep)
        self.changed = Notifier()
        self.buffer = ReadBuffer()
        self.peers = self.system.peers()
        self.refusals = RefusalLog()
        self.ssh = Spawner(groups, os.environ)
        self.access = Access(self.changed)
        self.kubectl = CredentialGate(spawner, self.access)
        self.forwarder = PortForwarder(connection, self.kubectl)
        self._sockets = ProxySockets(paths.directory)
        self.transport = Transport(connection, sockets=self._sockets, spawner=spawner, gate=self.kubectl)
        self.api = Api(connection, self.transport)
        self.probe = ApiServerProbe(
            address,
            resolve=addresses,
            boot_ahead=self.system.boot_ahead,
            changed=self.changed,
            renewable=self,
        )
        self._kubeconfig = KubeconfigMonitor(connection, self, self.clock, paths.kubeconfig)
        self._renewables: list[Renewable] = []
        self._tasks = Tasks()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._stack.callback(self.peers.close)
        self._stack.callback(self.refusals.close)
        self._stack.callback(self._kubeconfig.close)
        self._stack.callback(self._sockets.close)
        self._stack.callback(self.paths.login.unlink, missing_ok=True)
        self._stack.push_async_callback(self.transport.close)
        self._stack.push_async_callback(self._tasks.end)
        self._tasks.start(self.probe.run(), "probing the API server")
        self._tasks.start(self._kubeconfig.run(), "following the kubeconfig")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def now(self) -> datetime:
        """The wall clock, in UTC."""
        return datetime.now(UTC)

    def renew_too(self, renewable: Renewable) -> None:
        """Have something renewed whenever the API server can be reached again."""
        self._renewables.append(renewable)

    def forget(self, renewable: Renewable) -> None:
        """Have it renewed no more."""
        self._renewables.remove(renewable)

    def renew(self) -> None:
        """Make every connection to the cluster anew: what looks connected may be dead."""
        self.transport.renew()
        for renewable in list(self._renewables):
            renewable.renew()

    def follow_kubeconfig(self) -> None:
        """Use what the kubeconfig says by now: a command has just read something else in it."""
        self._kubeconfig.check()

    def move(self, connection: Connection) -> None:
        """Use what the kubeconfig says now; port-forwards that run go on with what they have."""
        self.probe.move(probe_address(connection))
        self.transport.renew(connection)
        self.forwarder.move(connection)
        self._spawner.use(kubectl.environment(connection, os.environ), _directory(connection))
        self.connection = connection
        self.access.retry()

    def remake_files(self) -> None:
        """Make anew what kubectl needs, which somebody has removed; raises OSError if it cannot be."""
        self._kubeconfig.remake_files()
        self._sockets.close()  # which may go by the directory that was removed
        self.transport.renew()

    def problems(self) -> list[str]:
        """Why the cluster cannot be used, or only with what the kubeconfig said before; a sentence each."""
        return list(filter(None, [self._kubeconfig.problem, self.access.problem]))

    async def join(self, connection: Connection) -> None:
        """Let another command use this, if it may.

        Its credentials have to be ours. If ours are not accepted any more, its own take their place.

        Raises:
            LocalizeError: the command has other credentials, or the API server accepts ours no more.
        """
        self._kubeconfig.check()  # its user may just have logged in
        if not self._kubeconfig.has_credentials_of(connection):
            if not self.access.problem:
                raise LocalizeError(
                    f"context {connection.context} is already in use by pid {os.getpid()}, with other credentials"
                    f" than those in {' and '.join(connection.kubeconfig)}",
                    "`kubectl localize stop` ends it, `kubectl localize ls` lists it",
                )
            self._kubeconfig.use(connection, KubeconfigContent.read(connection.kubeconfig))
        await self.verify()

    async def verify(self) -> None:
        """See that the API server accepts the credentials.

        Raises:
            LocalizeError: it does not. One that cannot be reached, or lets the user list nothing, says nothing of that.
        """
        path = f"/api/v1/namespaces/{self.connection.namespace}/services?limit=1"
        try:
            if self.probe.up:
                await self.transport.request("GET", path, timeout_seconds=JOIN_SECONDS)
        except (ConfigurationError, UnauthorizedError) as error:
            raise explained(error, self.connection) from error
        except KubectlError:
            return


class ProxySockets:
    """Where `kubectl proxy` listens.

    Args:
        directory: nobody else can enter it; sockets of a supervisor that was killed are removed from it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._long = LongSocketPath(directory)
        for stale in directory.glob("api-*.sock"):
            stale.unlink(missing_ok=True)

    def place(self, name: str) -> tuple[str, Path | None]:
        """What `kubectl proxy` is to listen at, and the directory that it has to start in if there is no other way."""
        path = self._long.of(name)
        return (path, None) if path else (name, self.directory)

    def close(self) -> None:
        """Give back what long paths needed; the next one gets it anew."""
        self._long.close()

    def address(self, name: str) -> AbstractContextManager[str]:
        """The address to connect to; it is valid within the context."""
        return socket_address(self.directory / name)


class RuntimeSource:
    """The one runtime of a supervisor, made when the first request names a connection.

    `runtime` is None until then.
    """

    def __init__(self, paths: RunPaths, groups: Groups) -> None:
        self._paths = paths
        self._groups = groups
        self._stack = AsyncExitStack()
        self.runtime: Runtime | None = None

    async def get(self, connection: Connection) -> Runtime:
        """The runtime for this connection, made at the first call; later calls may differ in the namespace only.

        Raises:
            LocalizeError: the connection is to another cluster, as another user, or with other credentials; or those
                are accepted no more.
        """
        is_new = self.runtime is None
        if self.runtime is None:
            self.runtime = Runtime(connection, self._paths, self._groups)
            await self._stack.enter_async_context(self.runtime)  # at once: nobody sees half a runtime
            await self.runtime.transport.begin()
        elif connection.server != self.runtime.connection.server:
            self.runtime.follow_kubeconfig()
        if not self.runtime.connection.reaches_the_same(connection):
            raise LocalizeError(
                f"context {connection.context} is already in use by pid {os.getpid()},"
                " as another user or for another cluster",
                "`kubectl localize stop` ends it, `kubectl localize ls` lists it",
            )
        if not is_new:
            await self.runtime.join(connection)
        return self.runtime

    @property
    def activity(self) -> tuple[int, int]:
        """Two numbers that grow with every change and with every byte."""
        return (self.runtime.changed.count, self.runtime.buffer.reads) if self.runtime is not None else (0, 0)

    async def close(self) -> None:
        """End it."""
        await self._stack.aclose()


def _directory(connection: Connection) -> Path | None:
    return Path(connection.directory) if connection.directory else None
