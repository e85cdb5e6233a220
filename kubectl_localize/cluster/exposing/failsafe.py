"""The failsafe: a second container of the exposure pod that takes the exposure back if this machine is gone too long.

It scales the workloads up, or switches the Services back. It needs curl, and the sh, cat, date, grep, sed and sleep of
any image. Its ServiceAccount may get and update the scale of exactly these workloads, or patch exactly these Services.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from kubectl_localize.cluster.exposing.selectors import put_back_patches
from kubectl_localize.cluster.exposing.shape import OURS, PodShape
from kubectl_localize.cluster.exposing.values import (
    FAILSAFE_CONTAINER,
    ExposurePlan,
    FailsafePlan,
    Provenance,
    metadata,
)

ACCOUNT_DIRECTORY = "/run/failsafe/account"
STATE_DIRECTORY = "/run/failsafe/state"
ACCOUNT_VOLUME = "failsafe-account"
STATE_VOLUME = "failsafe-state"
FIRED = "fired"
WAY_UP_SECONDS = 300  # more than any way up takes: a pod has 120 s to run, a command 120 s to listen
RBAC = "rbac.authorization.k8s.io"

Json = dict[str, Any]

_PROBE: Json = {"exec": {"command": ["true"]}, "periodSeconds": 30}  # a script that ends says so by itself


def script() -> str:
    """Read the shell script that the container runs, a file of 4 kB of this package.

    Its comments stay here: they would only make the pod's manifest longer.
    """
    text = resources.files("kubectl_localize.cluster.exposing").joinpath("failsafe.sh").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def listens(port: int) -> str:
    """What grep finds in /proc/net/tcp or tcp6 if something listens on the port (proc_net_tcp(5))."""
    return f"^ *[0-9]*: [0-9A-F]*:{port:04X} [0-9A-F]*:0000 0A "


def announcement(nonce: str) -> str:
    """The path that the failsafe of the pod with this nonce asks for, once it has proven its rights.

    A probe of its container would say it too, but the kubelet may report a container's `started` two seconds late.
    """
    return f"/proven/{nonce}"


def container(plan: ExposurePlan, nonce: str, shape: PodShape = OURS) -> Json:
    """The failsafe's container; its proof goes to the heartbeat's port, through the session."""
    failsafe = _failsafe(plan)
    targets = [
        *(f"{ref.path}/scale={replicas}" for ref, replicas in failsafe.targets),
        *(
            f"{service.ref.path}={json.dumps(patch)}"
            for service in plan.switched
            for patch in put_back_patches(dict(service.selector), plan.session)
        ),
    ]
    url = f"http://localhost:{plan.heartbeat_port}{announcement(nonce)}"
    seconds = (str(failsafe.after_seconds), str(WAY_UP_SECONDS))
    arguments = [*seconds, listens(plan.ports[0].number), url, *targets]
    return {
        "name": FAILSAFE_CONTAINER,
        "image": failsafe.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script(), FAILSAFE_CONTAINER, *arguments],
        **({"livenessProbe": _PROBE, "readinessProbe": _PROBE} if shape.probes else {}),
        "resources": shape.failsafe.manifest(),
        "volumeMounts": [
            {"name": ACCOUNT_VOLUME, "mountPath": ACCOUNT_DIRECTORY, "readOnly": True},
            {"name": STATE_VOLUME, "mountPath": STATE_DIRECTORY},
        ],
    }


def volumes() -> list[Json]:
    """What the container mounts: its account, and what it has to remember when it is restarted.

    The sources are those of the volume that admission would mount into every container
    (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/#bound-service-account-token-volume).
    """
    sources: list[Json] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    return [
        {"name": ACCOUNT_VOLUME, "projected": {"sources": sources, "defaultMode": 0o440}},
        {"name": STATE_VOLUME, "emptyDir": {"sizeLimit": "1Mi"}},
    ]


def account_name(session: str) -> str:
    """The name of our own ServiceAccount, Role and RoleBinding."""
    return f"localize-failsafe-{session}"


def service_account(plan: ExposurePlan, about: Provenance, secret: tuple[str, str]) -> Json:
    """Our own ServiceAccount, which belongs to the Secret of this name and uid."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(plan, _failsafe(plan).service_account, about, secret),
        "automountServiceAccountToken": False,
    }


def role(plan: ExposurePlan, about: Provenance, secret: tuple[str, str]) -> Json:
    """What the failsafe may do: read and write the scale of these workloads, patch these Services, and nothing else."""
    failsafe = _failsafe(plan)
    scales = [(ref, f"{ref.plural}/scale", ["get", "update"]) for ref, _ in failsafe.targets]
    switches = [(service.ref, service.ref.plural, ["patch"]) for service in plan.switched]
    rules = [
        {
            "apiGroups": [ref.api_version.rpartition("/")[0]],
            "resources": [resource],
            "resourceNames": [ref.name],
            "verbs": verbs,
        }
        for ref, resource, verbs in [*scales, *switches]
    ]
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": metadata(plan, failsafe.service_account, about, secret),
        "rules": rules,
    }


def role_binding(plan: ExposurePlan, about: Provenance, secret: tuple[str, str]) -> Json:
    """Gives our own ServiceAccount our own Role."""
    name = _failsafe(plan).service_account
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": metadata(plan, name, about, secret),
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": plan.namespace}],
    }


def fired(pod: Mapping[str, Any]) -> str:
    """What the failsafe said when it had taken the exposure back, `fired 2026-01-31T12:00:00Z`; empty if it has not."""
    return next((message for message in _last_words(pod) if message.startswith(FIRED)), "")


def problem(pod: Mapping[str, Any]) -> str:
    """Why the failsafe cannot do its work, as far as known; empty if nothing speaks against it yet."""
    if fired(pod) or "running" in (_status(pod).get("state") or {}):
        return ""
    said = next((message for message in _last_words(pod) if message), "")
    waiting = (_status(pod).get("state") or {}).get("waiting") or {}
    return said or str(waiting.get("message") or "")


def _last_words(pod: Mapping[str, Any]) -> list[str]:
    """The termination messages of the container and of the one before it."""
    ends = [(_status(pod).get(key) or {}).get("terminated") or {} for key in ("state", "lastState")]
    return [(end.get("message") or "").strip() for end in ends]


def _status(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((status for status in statuses if status["name"] == FAILSAFE_CONTAINER), {})


def _failsafe(plan: ExposurePlan) -> FailsafePlan:
    if plan.failsafe is None:
        raise ValueError("the plan has no failsafe")
    return plan.failsafe
