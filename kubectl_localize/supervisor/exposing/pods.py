"""An exposure's objects in the cluster: Secret, failsafe, and one pod after the other, each with its connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Collection, Mapping, Sequence
from typing import Any

from kubectl_localize.cluster.exposing import failsafe, pod
from kubectl_localize.cluster.exposing.values import ExposurePlan, Provenance, object_name
from kubectl_localize.errors import AlreadyExistsError, ForbiddenError, InvalidError
from kubectl_localize.host import ssh
from kubectl_localize.supervisor.exposing.local import LocalPort
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.exposing.readiness import ReadinessServer
from kubectl_localize.supervisor.exposing.tunnel import Keys, Tunnel
from kubectl_localize.supervisor.processes.port_forward import Target

log = logging.getLogger(__name__)

Json = dict[str, Any]

LOGIN = "localize"
NO_UID_YET = "00000000-0000-0000-0000-000000000000"


class ExposurePods:
    """Makes them, and knows the current one.

    Args:
        about: who, from where, since when, and how to undo it by hand.
        local: our listener for each carried port, by the port's number.
        heartbeat: answers the readiness probes.
    """

    def __init__(
        self,
        plan: ExposurePlan,
        means: Means,
        keys: Keys,
        about: Provenance,
        local: Mapping[int, LocalPort],
        heartbeat: ReadinessServer,
    ) -> None:
        self._plan = plan
        self._means = means
        self._keys = keys
        self._about = about
        self._local = local
        self._heartbeat = heartbeat
        self._uid: int | None = pod.UID
        self._secret_uid = ""
        self._made = 0
        self._nonce = ""
        self._remotes: dict[str, Tunnel] = {}
        self.name = ""

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self._plan.namespace}"

    @property
    def _rbac(self) -> str:
        return f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self._plan.namespace}"

    @property
    def _owned(self) -> tuple[Provenance, tuple[str, str]]:
        """What the objects say of themselves, and whose they are."""
        return self._about, (object_name(self._plan.session), self._secret_uid)

    async def try_out(self) -> None:
        """Ask the API server and its admission plugins whether they would take Secret and pod; nothing is made.

        Raises: KubectlError with what they object to.
        """
        secret = self._means.api.create(f"{self._path}/secrets", self._secret(pod.UID), dry_run=True)
        await _together(secret, self._try_out_pod())

    async def _try_out_pod(self) -> None:
        api, path = self._means.api, f"{self._path}/pods"
        try:
            await api.create(path, self._on_trial(pod.UID), dry_run=True)
        except (InvalidError, ForbiddenError):
            # Where admission hands out user numbers (OpenShift), it refuses ours and tells its own.
            answer = await api.create(path, self._on_trial(None), dry_run=True)
            given = _given_uid(answer)
            if given is None:
                raise
            self._uid = given

    def _on_trial(self, uid: int | None) -> Json:
        """The pod without what is not there yet."""
        manifest = self._pod(NO_UID_YET, uid)
        if self._plan.failsafe is not None and self._plan.failsafe.own:
            del manifest["spec"]["serviceAccountName"]
        return manifest

    async def make_secret(self) -> None:
        """Make the Secret, and what the failsafe's pod and RoleBinding cannot be made without.

        Raises: KubectlError.
        """
        api, plan = self._means.api, self._plan
        made = await api.create(f"{self._path}/secrets", self._secret(self._uid or pod.UID))
        self._secret_uid = made["metadata"]["uid"]
        if plan.failsafe is None or not plan.failsafe.own:
            return
        await _together(
            api.create(f"{self._path}/serviceaccounts", failsafe.service_account(plan, *self._owned)),
            api.create(f"{self._rbac}/roles", failsafe.role(plan, *self._owned)),
        )

    async def make_first(self) -> None:
        """Make the first pod; its failsafe gets its right while it starts. Raises: KubectlError."""
        await _together(self.make_pod(), self._bind())

    async def _bind(self) -> None:
        """Give the failsafe its right: whoever is no admin may only bind a Role that the server can look into."""
        plan = self._plan
        if plan.failsafe is not None and plan.failsafe.own:
            await self._means.api.create(f"{self._rbac}/rolebindings", failsafe.role_binding(plan, *self._owned))

    async def make_pod(self) -> None:
        """Make a pod, the current one from now on. One before it that terminates keeps its connection until it is gone.

        Raises: KubectlError.
        """
        self._made += 1
        self.name = self._pod_name()
        self._nonce = secrets.token_hex(16)
        self._heartbeat.expect(self._nonce, failsafe=self._plan.failsafe is not None)
        with contextlib.suppress(AlreadyExistsError):  # an earlier attempt whose answer was lost
            await self._means.api.create(f"{self._path}/pods", self._pod(self._secret_uid, self._uid))

    async def delete_pod(self, name: str) -> None:
        """Delete a pod that has failed; raises KubectlError."""
        await self._means.api.delete(f"{self._path}/pods/{name}")

    def connect(self) -> None:
        """Connect to the current pod, and keep connected."""
        means, plan = self._means, self._plan
        forwards = [(port.number, "127.0.0.1", self._local[port.number].local_port) for port in plan.ports]
        forwards.append((plan.heartbeat_port, "127.0.0.1", self._heartbeat.number))

        def client(local_port: int) -> Sequence[str]:
            return ssh.client_argv(
                port=local_port,
                user=LOGIN,
                identity=self._keys.identity,
                known_hosts=self._keys.known_hosts,
                forwards=forwards,
                host_key_alias=object_name(plan.session),
            )

        remote = self._remotes[self.name] = Tunnel(
            Target(plan.namespace, self.name, plan.sshd_port),
            client,
            forwarder=means.forwarder,
            ssh_spawner=means.ssh_spawner,
            reachable=means.reachable,
            clock=means.clock.now,
            changed=means.changed,
        )
        remote.begin()

    @property
    def remote(self) -> Tunnel | None:
        """The connection to the current pod."""
        return self._remotes.get(self.name)

    async def disconnect(self, there: Collection[str] = ()) -> None:
        """End the connections to all pods but those that are still there."""
        for name in [name for name in self._remotes if name not in there]:
            await self._remotes.pop(name).end()

    async def renew(self) -> None:
        """Give every pod a fresh connection."""
        await asyncio.gather(*(remote.renew() for remote in self._remotes.values()))

    def _secret(self, uid: int) -> Json:
        return pod.secret(
            self._plan,
            name=object_name(self._plan.session),
            authorized_key=self._keys.client.public,
            host_private_key=self._keys.host.private,
            host_public_key=self._keys.host.public,
            about=self._about,
            uid=uid,
        )

    def _pod(self, secret_uid: str, uid: int | None) -> Json:
        return pod.pod(
            self._plan,
            name=self.name or self._pod_name(),
            nonce=self._nonce,
            secret_name=object_name(self._plan.session),
            secret_uid=secret_uid,
            about=self._about,
            uid=uid,
        )

    def _pod_name(self) -> str:
        """`localize-cart-x7k2p`, at most 63 characters, as it is a host name too; later ones are numbered."""
        number = f"-{self._made}" if self._made > 1 else ""
        end = f"-{self._plan.session}{number}"
        return f"localize-{self._plan.services[0].name}"[: 63 - len(end)].rstrip("-.") + end


async def _together(*work: Awaitable[object]) -> None:
    """Do all of it at the same time, and wait for each also where one fails: none is to come after the way back.

    Raises: what the first of them, in this order, has raised; the log has the others.
    """
    answers = await asyncio.gather(*work, return_exceptions=True)
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    for failure in failures[1:]:
        log.warning("failed at the same time: %s", failure)
    if failures:
        raise failures[0]


def _given_uid(answer: Json) -> int | None:
    spec = answer["spec"]
    places = [spec.get("securityContext") or {}, *((one.get("securityContext") or {}) for one in spec["containers"])]
    return next((int(place["runAsUser"]) for place in places if place.get("runAsUser") is not None), None)
