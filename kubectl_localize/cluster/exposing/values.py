"""The values that describe an exposure: workloads, ports, failsafe, plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_localize.model import PodOptions, ServiceKey

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "kubectl-localize"
SESSION_LABEL = "kubectl-localize/session"
SESSION_CHARACTERS = "bcdfghjkmnpqrstvwxz2456789"  # none that make words or are taken for one another
SESSION_LENGTH = 6
SSHD_CONTAINER = "sshd"
FAILSAFE_CONTAINER = "failsafe"
TEMPLATE_HASH_LABEL = "pod-template-hash"
SCALABLE = frozenset(
    {
        ("apps/v1", "Deployment"),
        ("apps/v1", "ReplicaSet"),
        ("apps/v1", "StatefulSet"),
        ("v1", "ReplicationController"),
    }
)


@dataclass(frozen=True, order=True)
class WorkloadRef:
    """Which workload: `api_version` is `apps/v1` or `v1`, `kind` is Deployment, StatefulSet, ReplicaSet and so on."""

    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def plural(self) -> str:
        """The resource's name in the API: `deployments`."""
        return f"{self.kind.lower()}s"

    @property
    def path(self) -> str:
        """Its path in the API, such as `/apis/apps/v1/namespaces/shop/deployments/cart`."""
        prefix = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        return f"{prefix}/namespaces/{self.namespace}/{self.plural}/{self.name}"

    @property
    def by_hand(self) -> str:
        """How kubectl is told of it: `deployment/cart`."""
        return f"{self.kind.lower()}/{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Workload:
    """A workload as it was found: `replicas` is `spec.replicas`, `object` all of it as it came from the API."""

    ref: WorkloadRef
    uid: str
    replicas: int
    object: Mapping[str, Any] = field(compare=False)

    @property
    def version(self) -> str:
        """Its `resourceVersion`."""
        return str(self.object["metadata"]["resourceVersion"])

    @property
    def template(self) -> Mapping[str, Any]:
        """Its pod template."""
        template: Mapping[str, Any] = self.object["spec"]["template"]
        return template


@dataclass(frozen=True)
class SwitchedService:
    """A Service whose selector is switched to the exposure pod.

    Args:
        ref: the Service, as the journal names it.
        uid, version: its uid and `resourceVersion` when it was seen to have this selector.
        selector: what it selects by without us.
    """

    ref: WorkloadRef
    uid: str
    version: str
    selector: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CarriedPort:
    """One target port of the exposure pod and the local process behind it.

    Args:
        number: the port that sshd listens on in the pod for us.
        names: what the pod calls it (`containerPort` names), so that named target ports keep resolving.
        host, local_port: where the local process listens.
        services: each Service and its port number that lead here.
        asked: whether one of them was asked for; the others only keep their endpoint.
        either: whether ::1 will do if nothing is on 127.0.0.1, since the user has named no address.
    """

    number: int
    names: tuple[str, ...]
    host: str
    local_port: int
    services: tuple[tuple[ServiceKey, int], ...]
    asked: bool = True
    either: bool = False

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses at which the local process is looked for, in this order."""
        return (self.host, "::1") if self.either else (self.host,)

    @property
    def local(self) -> str:
        """`127.0.0.1:3000`, with brackets around an IPv6 address."""
        return self.at(self.host)

    def at(self, host: str) -> str:
        """`local` for another one of the hosts."""
        return f"[{host}]:{self.local_port}" if ":" in host else f"{host}:{self.local_port}"


@dataclass(frozen=True)
class FailsafePlan:
    """How the cluster brings the workloads, or the Services' selectors, back by itself.

    Args:
        after_seconds: how long the session may be gone.
        image: an image with curl and sh.
        service_account: who may scale the workloads, or patch the Services.
        own: whether ServiceAccount, Role and RoleBinding are ours to make and delete.
        targets: each workload and its replicas; empty if Services are switched.
    """

    after_seconds: int
    image: str
    service_account: str
    own: bool
    targets: tuple[tuple[WorkloadRef, int], ...]


@dataclass(frozen=True)
class ExposurePlan:
    """Everything that is decided before anything is changed.

    Args:
        namespace: where all of it is.
        services: the Services that were asked for.
        workloads: what is scaled down; empty with `--keep` and `--share`.
        switched: the Services whose selector is switched; only with `--keep`.
        replaced: the pod template that the exposure pod stands in for (of the first workload, or of a pod).
        labels: the exposure pod's labels, without hashes and without those that all our objects have.
        hostname, subdomain: a StatefulSet's pod that it stands in for, else empty.
        selected_keys: the label keys that Services of the namespace select by; ours have no say there.
        found_by: the names of the Services that find the exposure pod: those that were asked for, and others.
        replaced_pods: the names of the pods that are scaled down.
        kept_pods: the names of pods behind these Services that are not, such as a Job's.
        example_spec: the spec of a pod behind these Services, as it runs; empty if there is none.
        options: what the user wants otherwise.
        ports: what is carried.
        sshd_port: where sshd itself listens, none of the carried ones.
        heartbeat_port: where the readiness probe asks, through the session, whether we live, and the failsafe tells of
            its proof; none of the others.
        image: an image with sshd and sh.
        image_pull_secrets: names, the workload's own included.
        session: the random id of this exposure, which names its objects.
        failsafe: None if it is off.
    """

    namespace: str
    services: tuple[ServiceKey, ...]
    workloads: tuple[Workload, ...]
    replaced: Mapping[str, Any] = field(compare=False)
    labels: tuple[tuple[str, str], ...]
    ports: tuple[CarriedPort, ...]
    sshd_port: int
    heartbeat_port: int
    image: str
    session: str
    image_pull_secrets: tuple[str, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    failsafe: FailsafePlan | None = None
    switched: tuple[SwitchedService, ...] = ()
    selected_keys: frozenset[str] = frozenset()
    found_by: tuple[str, ...] = ()
    replaced_pods: tuple[str, ...] = ()
    kept_pods: tuple[str, ...] = ()
    example_spec: Mapping[str, Any] = field(default_factory=dict, compare=False)
    options: PodOptions = field(default_factory=PodOptions)


def object_name(session: str) -> str:
    """The name of a session's Secret, and of what else it makes but pods and Leases."""
    return f"localize-{session}"


Json = dict[str, Any]


@dataclass(frozen=True)
class Provenance:
    """What a colleague who finds the objects wants to know.

    Args:
        owner: the API's user.
        origin: from where, `alice@laptop`.
        since: when it began, as RFC 3339 has it.
        undo: commands that undo it without this program.
    """

    owner: str
    origin: str
    since: str
    undo: str


def metadata(plan: ExposurePlan, name: str, about: Provenance, secret: tuple[str, str] | None = None) -> Json:
    """The metadata of an object of ours.

    Args:
        secret: name and uid of the Secret that owns it, as its controller; None for the Secret itself.
    """
    meta: Json = {
        "name": name,
        "namespace": plan.namespace,
        "labels": {**dict(plan.options.labels), MANAGED_BY_LABEL: MANAGED_BY, SESSION_LABEL: plan.session},
        "annotations": {
            **dict(plan.options.annotations),
            "kubectl-localize/owner": about.owner,
            "kubectl-localize/from": about.origin,
            "kubectl-localize/since": about.since,
            "kubectl-localize/undo": about.undo,
        },
    }
    if secret:
        # Without blockOwnerDeletion, which would ask for a right on the Secret's finalizers.
        owner = {"apiVersion": "v1", "kind": "Secret", "name": secret[0], "uid": secret[1], "controller": True}
        meta["ownerReferences"] = [owner]
    return meta
