"""An exposure's objects in the cluster: Secret, failsafe, and one pod after the other, each with its connection."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection
from contextlib import AsyncExitStack
from typing import Any

from kubectl_localize.cluster.exposing import pod
from kubectl_localize.cluster.exposing.shape import shapes
from kubectl_localize.cluster.exposing.values import SSHD_CONTAINER, ExposurePlan, Provenance
from kubectl_localize.errors import AlreadyExistsError
from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.supervisor.exposing.local import LocalEnds
from kubectl_localize.supervisor.exposing.manifests import Manifests
from kubectl_localize.supervisor.exposing.remote_forward import RemoteForward, make_keys, remove_keys, write_keys
from kubectl_localize.supervisor.exposing.trial import try_out
from kubectl_localize.supervisor.exposing.tunnel import Tunnel
from kubectl_localize.supervisor.processes.port_forward import Target
from kubectl_localize.supervisor.runtime import Runtime
from kubectl_localize.timing import all_of

log = logging.getLogger(__name__)

Json = dict[str, Any]


class ExposurePods:
    """Makes them, and knows the current one.

    Args:
        provenance: who, from where, since when, and how to undo it by hand.
        ends: where the connection of each pod ends on this machine.

    Attributes:
        name: the current pod's; empty before there is one.
    """

    def __init__(
        self,
        plan: ExposurePlan,
        runtime: Runtime,
        provenance: Provenance,
        ends: LocalEnds,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._provenance = provenance
        self._ends = ends
        self._made_of: Manifests | None = None
        self._secret_uid = ""
        self._made = 0
        self._unanswered = False
        self._nonce = ""
        self._tunnels: dict[str, Tunnel] = {}
        self.name = ""

    async def make_keys(self) -> None:
        """Make the keys of the session.

        Raises:
            LocalizeError: there is no OpenSSH on this machine.
            OSError: its files cannot be written.
        """
        directory, session = self._runtime.directory, self._plan.session
        keys = await in_daemon_thread(lambda: make_keys(directory, session), "ssh-keygen")
        self._made_of = Manifests(self._plan, self._provenance, keys, shape=next(shapes(self._plan)))

    def rewrite_keys(self) -> None:
        """Write the files of the keys anew, if there are keys; raises OSError."""
        if self._made_of is not None:
            write_keys(self._made_of.keys)

    def remove_keys(self) -> None:
        """Delete the files of the keys."""
        try:
            remove_keys(self._runtime.directory, self._plan.session)
        except OSError as error:
            log.warning("the keys of %s stay: %s", self._plan.session, error)

    @property
    def _manifests(self) -> Manifests:
        if self._made_of is None:
            raise ValueError("make_keys comes first")
        return self._made_of

    async def try_out(self) -> None:
        """Find out what the API server and its admission plugins take; nothing is made.

        Raises:
            KubectlError: they object to something, or do not answer.
        """
        self._made_of = await try_out(self._runtime.api, self._manifests, self.name or self._pod_name())

    async def make_secret(self) -> None:
        """Make the Secret, and what the failsafe's pod and RoleBinding cannot be made without.

        Raises:
            KubectlError: the API server does not answer, or refuses one of them.
        """
        api, manifests = self._runtime.api, self._manifests
        made = await api.create(f"{manifests.core}/secrets", manifests.secret())
        self._secret_uid = made["metadata"]["uid"]
        if manifests.has_own_account:
            await all_of(
                api.create(f"{manifests.core}/serviceaccounts", manifests.service_account(self._secret_uid)),
                api.create(f"{manifests.rbac}/roles", manifests.role(self._secret_uid)),
            )

    async def make_first(self) -> None:
        """Make the first pod, and at the same time the failsafe's RoleBinding.

        Raises:
            KubectlError: the API server does not answer, or refuses it.
        """
        await all_of(self.make_pod(), self._bind())

    async def _bind(self) -> None:
        """Make the failsafe's RoleBinding. The Role has to exist before: only admins may bind one that does not."""
        manifests = self._manifests
        if manifests.has_own_account:
            binding = manifests.role_binding(self._secret_uid)
            await self._runtime.api.create(f"{manifests.rbac}/rolebindings", binding)

    async def make_pod(self, *, seen: bool = False) -> None:
        """Make a pod, the current one from now on. One before it that terminates keeps its connection until it is gone.

        If the API server did not answer the attempt before this one, that may have made its pod all the same. So its
        name is used once more, and no second pod can come of it.

        Args:
            seen: whether the current pod has been there; then it is lost, and another one is made.

        Raises:
            KubectlError: the API server does not answer, or refuses it.
        """
        if seen or not self._unanswered:
            self._made += 1
            self.name = self._pod_name()
            self._nonce = secrets.token_hex(16)
            self._ends.heartbeat.expect(self._nonce, failsafe=self._plan.failsafe is not None)
        self._unanswered = True
        try:
            manifest = self._manifests.pod(self.name, self._nonce, self._secret_uid)
            await self._runtime.api.create(f"{self._manifests.core}/pods", manifest)
        except AlreadyExistsError:
            if not await self._is_made():
                raise
        self._unanswered = False

    async def _is_made(self) -> bool:
        """Whether the pod of the current name is ours, made by an attempt whose answer was lost."""
        made = await self._runtime.api.find(f"{self._manifests.core}/pods/{self.name}")
        return made is not None and _probed_path(made) == pod.readiness(self._nonce)

    async def delete_pod(self, name: str) -> None:
        """Delete a pod that has failed; raises KubectlError."""
        await self._runtime.api.delete(f"{self._manifests.core}/pods/{name}")

    def connect(self) -> None:
        """Connect to the current pod, and keep connected."""
        runtime, plan = self._runtime, self._plan
        ports = [(port.number, self._ends.ports[port.number].local_port) for port in plan.ports]
        ports.append((plan.heartbeat_port, self._ends.heartbeat.number))
        tunnel = self._tunnels[self.name] = Tunnel(
            Target(plan.namespace, self.name, plan.sshd_port),
            RemoteForward(plan.session, self._manifests.keys, tuple(ports)),
            forwarder=runtime.forwarder,
            ssh_spawner=runtime.ssh,
            probe=runtime.probe,
            clock=runtime.clock.now,
            changed=runtime.changed,
        )
        tunnel.begin()

    @property
    def tunnel(self) -> Tunnel | None:
        """The connection to the current pod."""
        return self._tunnels.get(self.name)

    async def disconnect(self, remaining: Collection[str] = ()) -> None:
        """End the connections to all pods but the remaining ones; a failure of one skips no other."""
        async with AsyncExitStack() as stack:
            for name in [name for name in self._tunnels if name not in remaining]:
                stack.push_async_callback(self._tunnels.pop(name).end)

    async def renew(self) -> None:
        """Give every pod a fresh connection."""
        await all_of(*(tunnel.renew() for tunnel in self._tunnels.values()))

    def _pod_name(self) -> str:
        """`localize-cart-x7k2p`, at most 63 characters, as it is a host name too; later ones are numbered."""
        number = f"-{self._made}" if self._made > 1 else ""
        end = f"-{self._plan.session}{number}"
        return f"localize-{self._plan.services[0].name}"[: 63 - len(end)].rstrip("-.") + end


def _probed_path(made: Json) -> str:
    """The path that a pod's readiness probe asks for; no two pods have the same."""
    containers = made["spec"]["containers"]
    return next(
        (
            str(container["readinessProbe"]["httpGet"]["path"])
            for container in containers
            if container["name"] == SSHD_CONTAINER
        ),
        "",
    )
