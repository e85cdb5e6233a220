"""The manifests of one exposure's objects, of which some things may be decided later: user, shape, options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kubectl_localize.cluster.exposing import failsafe, pod
from kubectl_localize.cluster.exposing.shape import OURS, PodShape
from kubectl_localize.cluster.exposing.values import ExposurePlan, Provenance, object_name
from kubectl_localize.model import PodOptions
from kubectl_localize.supervisor.exposing.remote_forward import Keys

Json = dict[str, Any]


@dataclass(frozen=True)
class Manifests:
    """Puts them together.

    Args:
        provenance: who, from where, since when, and how to undo it by hand.
        keys: the session's.
        uid: the user that the pod runs as; None leaves the choice to the cluster's admission.
        shape: which of the plan's shapes the pod has.
    """

    plan: ExposurePlan
    provenance: Provenance
    keys: Keys
    uid: int | None = pod.UID
    shape: PodShape = OURS

    @property
    def core(self) -> str:
        """The path of the namespace's pods, Secrets and ServiceAccounts in the API."""
        return f"/api/v1/namespaces/{self.plan.namespace}"

    @property
    def rbac(self) -> str:
        """The path of its Roles and RoleBindings."""
        return f"/apis/{failsafe.RBAC}/v1/namespaces/{self.plan.namespace}"

    @property
    def secret_name(self) -> str:
        """The name of the Secret, which owns all other objects."""
        return object_name(self.plan.session)

    @property
    def has_own_account(self) -> bool:
        """Whether there are a ServiceAccount, a Role and a RoleBinding for the failsafe."""
        return self.plan.failsafe is not None and self.plan.failsafe.own

    def with_options(self, options: PodOptions) -> Manifests:
        """The same objects, with other labels and annotations."""
        return replace(self, plan=replace(self.plan, options=options))

    def secret(self) -> Json:
        """The Secret."""
        return pod.secret(
            self.plan,
            name=self.secret_name,
            authorized_key=self.keys.client.public,
            host_private_key=self.keys.host.private,
            host_public_key=self.keys.host.public,
            about=self.provenance,
            uid=self.uid or pod.UID,
        )

    def pod(self, name: str, nonce: str, secret_uid: str) -> Json:
        """A pod.

        Args:
            nonce: as in `cluster.exposing.pod.pod`.
            secret_uid: the Secret's.
        """
        return pod.pod(
            self.plan,
            name=name,
            nonce=nonce,
            secret_name=self.secret_name,
            secret_uid=secret_uid,
            about=self.provenance,
            uid=self.uid,
            shape=self.shape,
        )

    def service_account(self, secret_uid: str) -> Json:
        """The failsafe's ServiceAccount."""
        return failsafe.service_account(self.plan, self.provenance, (self.secret_name, secret_uid))

    def role(self, secret_uid: str) -> Json:
        """The failsafe's Role."""
        return failsafe.role(self.plan, self.provenance, (self.secret_name, secret_uid))

    def role_binding(self, secret_uid: str) -> Json:
        """The failsafe's RoleBinding."""
        return failsafe.role_binding(self.plan, self.provenance, (self.secret_name, secret_uid))
