"""An exposure pod without a supervisor: the product's manifests and command lines, put together by hand."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing import pod as exposure_pod
from kubectl_localize.cluster.exposing.values import (
    CarriedPort,
    ExposurePlan,
    FailsafePlan,
    Provenance,
    Workload,
    WorkloadRef,
)
from kubectl_localize.host import ssh
from kubectl_localize.model import ServiceKey
from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import Manifest, image

ALIAS = "exposure"


def restricted(workload: Manifest) -> Manifest:
    """The workload, its pods changed so that they pass Pod Security `restricted`."""
    spec = workload["spec"]["template"]["spec"]
    spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    for container in spec["containers"]:
        container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return workload


def plan_for(cluster: Cluster, namespace: str, name: str, *ports: tuple[int, tuple[str, ...], int]) -> ExposurePlan:
    """A plan that exposes the Service NAME in the place of the Deployment NAME.

    Args:
        ports: of each the target port's number and names, and the local port.
    """
    found = cluster.get("deployment", name, f"--namespace={namespace}")
    ref = WorkloadRef("apps/v1", "Deployment", namespace, name)
    workload = Workload(ref, found["metadata"]["uid"], found["spec"]["replicas"], found)
    key = ServiceKey(namespace, name)
    return ExposurePlan(
        namespace=namespace,
        services=(key,),
        workloads=(workload,),
        replaced=workload.template,
        labels=tuple(workload.template["metadata"]["labels"].items()),
        ports=tuple(CarriedPort(number, names, "127.0.0.1", local, ((key, 80),)) for number, names, local in ports),
        sshd_port=2222,
        heartbeat_port=2223,
        image=image(),
        session="abc12",
    )


def with_failsafe(plan: ExposurePlan, after_seconds: int, *targets: tuple[WorkloadRef, int]) -> ExposurePlan:
    """The plan with a failsafe of its own, for its workloads if no others are given."""
    whose = targets or tuple((workload.ref, workload.replicas) for workload in plan.workloads)
    account = failsafe.account_name(plan.session)
    return replace(plan, failsafe=FailsafePlan(after_seconds, plan.image, account, True, whose))


@dataclass
class ExposurePod:
    """One exposure pod and the ways into it."""

    cluster: Cluster
    plan: ExposurePlan
    directory: Path
    name: str = "localize-web"
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def create(self, uid: int = exposure_pod.UID, change: Callable[[Manifest], None] = lambda manifest: None) -> None:
        """Make the objects, and wait until the pod runs.

        Args:
            change: makes another pod of the product's, as an admission plugin would.
        """
        self.directory.mkdir(mode=0o700, exist_ok=True)
        about = Provenance("alice", "alice@laptop", "2026-01-31T12:00:00Z", "kubectl delete …")
        host_key = ssh.make_key(self.directory, "host")
        (self.directory / "known_hosts").write_text(ssh.known_hosts_line(ALIAS, host_key.public))
        secret = exposure_pod.secret(
            self.plan,
            name=self.name,
            authorized_key=ssh.make_key(self.directory, "identity").public,
            host_private_key=host_key.private,
            host_public_key=host_key.public,
            about=about,
            uid=uid,
        )
        owner = (self.name, self._make(secret)["metadata"]["uid"])
        if self.plan.failsafe and self.plan.failsafe.own:
            for part in (failsafe.service_account, failsafe.role, failsafe.role_binding):
                self._make(part(self.plan, about, owner))
        manifest = exposure_pod.pod(
            self.plan,
            name=self.name,
            nonce="n0nce",
            secret_name=owner[0],
            secret_uid=owner[1],
            about=about,
            uid=uid,
        )
        change(manifest)
        self._make(manifest)
        wait_until("running exposure pod", lambda: self.get()["status"]["phase"] == "Running", 30)

    def _make(self, manifest: Manifest) -> dict[str, Any]:
        made: dict[str, Any] = json.loads(
            self.cluster.kubectl("create", "-o=json", "-f", "-", stdin=json.dumps(manifest))
        )
        return made

    def get(self) -> dict[str, Any]:
        """The pod as it is now."""
        return self.cluster.get("pod", self.name, f"--namespace={self.plan.namespace}")

    def wait_ready(self) -> None:
        """Wait until the pod is Ready."""
        place = (f"--namespace={self.plan.namespace}", f"pod/{self.name}")
        self.cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", *place)

    def port(self) -> int:
        """The local port of a new port-forward to sshd."""
        kubectl = (str(self.cluster.kubectl_binary), f"--kubeconfig={self.cluster.kubeconfig}")
        place = (f"--namespace={self.plan.namespace}", f"pod/{self.name}", f":{self.plan.sshd_port}")
        process = subprocess.Popen([*kubectl, "port-forward", *place], stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        found = re.search(r":(\d+) ->", process.stdout.readline())
        assert found is not None
        return int(found[1])

    def argv(self, port: int, *forwards: tuple[int, str, int], identity: str = "identity") -> list[str]:
        """The command line of the product's ssh; the plan's ports where none are given."""
        return ssh.client_argv(
            port=port,
            user=exposure_pod.USER,
            identity=self.directory / identity,
            known_hosts=self.directory / "known_hosts",
            forwards=forwards or self._forwards(),
            host_key_alias=ALIAS,
        )

    def _forwards(self) -> list[tuple[int, str, int]]:
        """All of the plan's; the local process answers the heartbeat, too."""
        found = [(one.number, one.host, one.local_port) for one in self.plan.ports]
        return [*found, (self.plan.heartbeat_port, *found[0][1:])]

    def connect(self, port: int) -> subprocess.Popen[str]:
        """Start `ssh -R`, which stays."""
        process = subprocess.Popen(self.argv(port), stdin=subprocess.DEVNULL, text=True)
        self.processes.append(process)
        return process

    def refused(self, argv: list[str]) -> str:
        """What an ssh says that is expected to end by itself with a failure."""
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 255, done
        return done.stderr

    def inside(self, container: str, *argv: str) -> str:
        """What a command in one of its containers prints."""
        place = (f"--namespace={self.plan.namespace}", self.name, f"--container={container}")
        return self.cluster.kubectl("exec", *place, "--", *argv)

    def cut(self) -> None:
        """End everything on this machine at once, as a lost laptop does."""
        for process in self.processes:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self.processes.clear()


@contextmanager
def open_exposure_pod(cluster: Cluster, plan: ExposurePlan, directory: Path) -> Iterator[ExposurePod]:
    """An exposure pod that is still to be created; its processes end with the block, its objects with the namespace."""
    made = ExposurePod(cluster, plan, directory)
    try:
        yield made
    finally:
        made.cut()
