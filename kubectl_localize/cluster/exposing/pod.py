"""The manifests of the exposure pod and its Secret: an OpenSSH server for this session and its ports only.

It passes the Pod Security Standard `restricted` (https://kubernetes.io/docs/concepts/security/pod-security-standards/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.shape import PodShape, shapes
from kubectl_localize.cluster.exposing.values import (
    SESSION_LABEL,
    SSHD_CONTAINER,
    CarriedPort,
    ExposurePlan,
    Provenance,
    metadata,
)

# Its tags `version-…` are rebuilt for security fixes and stay; the ones of single builds are deleted after a while.
DEFAULT_IMAGE = "lscr.io/linuxserver/openssh-server:version-10.3_p1-r1"
USER = "localize"
UID = 1000
DIRECTORY = "/etc/kubectl-localize"
PRE_STOP_SECONDS = 3  # kube-proxy syncs once a second at most: until no node sends to the pod any more
GRACE_SECONDS = 10
PRIVILEGED_BELOW = 1024
NO_MESH = {"sidecar.istio.io/inject": "false"}  # Istio reads the label first, then the annotation

Json = dict[str, Any]

# Some images keep sshd outside of their PATH, and Alpine's with PAM has another name. From 9.8 on sshd turns away an
# address from which unfinished logins come; here all come from the port-forward's, which is the pod's own.
START = f"""
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
sshd=$(command -v sshd || command -v sshd.pam) || {{ echo 'the image has no sshd' >/dev/termination-log; exit 127; }}
set -- -f {DIRECTORY}/sshd_config
"$sshd" -t "$@" -o PerSourcePenalties=no 2>/dev/null && set -- "$@" -o PerSourcePenalties=no
exec "$sshd" -D -e "$@"
"""


def secret(
    plan: ExposurePlan,
    *,
    name: str,
    authorized_key: str,
    host_private_key: str,
    host_public_key: str,
    about: Provenance,
    uid: int = UID,
) -> Json:
    """The Secret with all that sshd reads; it owns the other objects.

    Args:
        authorized_key: the line of the session's public key.
        uid: the user that the pod will run as.
    """
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(plan, name, about),
        "type": "Opaque",
        "immutable": True,
        "stringData": {
            "sshd_config": _sshd_config(plan),
            "authorized_keys": _authorized_keys(plan, authorized_key),
            "host_key": host_private_key,
            "host_key.pub": f"{host_public_key.strip()}\n",
            "passwd": _passwd(uid),
        },
    }


def pod(
    plan: ExposurePlan,
    *,
    name: str,
    nonce: str,
    secret_name: str,
    secret_uid: str,
    about: Provenance,
    uid: int | None = UID,
    shape: PodShape | None = None,
) -> Json:
    """The exposure pod.

    Args:
        nonce: what only this pod's probe and failsafe call themselves when they ask for us.
        secret_name, secret_uid: its owner.
        uid: the user that it runs as; None leaves the choice to the cluster's admission.
        shape: which of its `shapes`; the first one if it is None.
    """
    shape = shape or next(shapes(plan))
    meta = metadata(plan, name, about, (secret_name, secret_uid))
    meta["labels"] = _labels(plan, {**shape.labels, **meta["labels"]})
    no_mesh = {**NO_MESH, "linkerd.io/inject": "disabled"}
    meta["annotations"] = {**shape.annotations, **no_mesh, **meta["annotations"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": _spec(plan, nonce, secret_name, uid, shape)}


def _labels(plan: ExposurePlan, ours: Mapping[str, str]) -> dict[str, str]:
    """The pod's labels: the replaced pods' own, which Services, NetworkPolicies and the like select by, and ours.

    Only the session's label is always ours. `app.kubernetes.io/managed-by: Helm` stays; that no sidecar is wanted is
    left to the annotation if some Service selects by its label.
    """
    no_mesh = {key: value for key, value in NO_MESH.items() if key not in plan.selected_keys}
    return {**ours, **dict(plan.labels), **dict(plan.options.labels), **no_mesh, SESSION_LABEL: plan.session}


def _spec(plan: ExposurePlan, nonce: str, secret_name: str, uid: int | None, shape: PodShape) -> Json:
    containers = [_sshd_container(plan, nonce, shape)]
    volumes: list[Json] = [{"name": "sshd", "secret": {"secretName": secret_name, "defaultMode": 0o440}}]
    spec: Json = {
        "containers": containers,
        "volumes": volumes,
        "securityContext": _pod_security(plan, uid),
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **_like_the_replaced(plan),
    }
    if plan.hostname:
        spec |= {"hostname": plan.hostname, "subdomain": plan.subdomain}
    if plan.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in plan.image_pull_secrets]
    if plan.failsafe:
        spec["serviceAccountName"] = plan.failsafe.service_account
        containers.append(failsafe.container(plan, nonce, shape))
        volumes += failsafe.volumes()
    for container in containers:
        container["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
    return spec


def readiness(nonce: str) -> str:
    """The path that the readiness probe of the pod with this nonce asks for."""
    return f"/ready/{nonce}"


def _sshd_container(plan: ExposurePlan, nonce: str, shape: PodShape) -> Json:
    probes = {"livenessProbe": {"tcpSocket": {"port": plan.sshd_port}, "periodSeconds": 30}} if shape.probes else {}
    return {
        "name": SSHD_CONTAINER,
        "image": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", START],
        "ports": [entry for port in plan.ports for entry in _container_ports(port)],
        # It is answered by our supervisor, so it proves the whole way and does not knock at the user's process, and not
        # before the failsafe has told it of its proof, so the pod is not Ready and gets no traffic without one. A
        # session that is silent for long loses the Service's traffic, whose connections keep sshd from noticing it.
        "readinessProbe": {
            "httpGet": {"port": plan.heartbeat_port, "path": readiness(nonce)},
            "periodSeconds": 1,
            "timeoutSeconds": 3,
        },
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(PRE_STOP_SECONDS)]}}},
        **probes,
        "resources": shape.sshd.manifest(),
        "volumeMounts": [
            {"name": "sshd", "mountPath": DIRECTORY, "readOnly": True},
            # sshd wants a name for the user it runs as, and the image may not have one.
            {"name": "sshd", "mountPath": "/etc/passwd", "subPath": "passwd", "readOnly": True},
        ],
    }


def _container_ports(port: CarriedPort) -> list[Json]:
    entry: Json = {"containerPort": port.number, "protocol": "TCP"}
    return [{"name": name, **entry} for name in port.names] or [entry]


def _pod_security(plan: ExposurePlan, uid: int | None) -> Json:
    security: Json = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if uid is not None:
        security |= {"runAsUser": uid, "runAsGroup": uid, "fsGroup": uid}
    if any(port.number < PRIVILEGED_BELOW for port in plan.ports):
        # Safe from Kubernetes 1.22 on; an older node refuses it, so only who needs it asks for it.
        security["sysctls"] = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    return security


def _like_the_replaced(plan: ExposurePlan) -> Json:
    """The scheduling fields: the exposure pod may run wherever the replaced pods may, with the same priority."""
    replaced = plan.replaced.get("spec") or {}
    spec = {key: replaced[key] for key in ("nodeSelector", "tolerations", "priorityClassName") if replaced.get(key)}
    node_affinity = (replaced.get("affinity") or {}).get("nodeAffinity")
    if node_affinity:
        spec["affinity"] = {"nodeAffinity": node_affinity}
    return spec


def _sshd_config(plan: ExposurePlan) -> str:
    """sshd_config(5). A session that is silent for 6 s is dropped, or its ports would stay taken.

    sshd asks a silent client only after an interval in which nobody connects to these ports either.
    """
    listen = " ".join(f"*:{number}" for number in _forwarded(plan))
    return f"""\
Port {plan.sshd_port}
HostKey {DIRECTORY}/host_key
AuthorizedKeysFile {DIRECTORY}/authorized_keys
AllowUsers {USER}
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
LoginGraceTime 20
ClientAliveInterval 1
ClientAliveCountMax 6
MaxSessions 0
PermitTTY no
PermitTunnel no
PermitUserRC no
X11Forwarding no
AllowAgentForwarding no
AllowStreamLocalForwarding no
AllowTcpForwarding remote
GatewayPorts clientspecified
PermitListen {listen}
PermitOpen none
"""


def _forwarded(plan: ExposurePlan) -> list[int]:
    """The ports that a session may listen on; with the heartbeat's the other ones are listened on as well."""
    return [*(port.number for port in plan.ports), plan.heartbeat_port]


def _authorized_keys(plan: ExposurePlan, key: str) -> str:
    """The session's key, restricted once more (sshd(8), *AUTHORIZED_KEYS FILE FORMAT*)."""
    listen = ",".join(f'permitlisten="*:{number}"' for number in _forwarded(plan))
    return f"restrict,port-forwarding,{listen} {key.strip()}\n"


def _passwd(uid: int) -> str:
    """passwd(5) with the user that sshd runs as and lets in; its shell has to exist."""
    users = ((USER, uid), ("root", 0), ("sshd", 22), ("nobody", 65534))
    return "".join(f"{name}:x:{number}:{number}::/:/bin/sh\n" for name, number in users)
