"""The cluster that the tests share: our own node, or any other that LOCALIZE_TEST_KUBECONFIG names."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.commands import wait_until, without_proxy_for
from tests.cluster.node import Node
from tests.cluster.paths import CHECKOUT
from tests.environment import Environment
from tests.real.manifests import Manifest, as_list


@dataclass(frozen=True)
class Cluster:
    """A cluster, as its administrator sees it."""

    kubeconfig: Path
    kubectl_binary: Path
    controlled: Node | None

    @classmethod
    def of_node(cls, node: Node) -> Cluster:
        """Our own node."""
        return cls(node.kubeconfig, Environment.of_checkout().kubectl, node)

    @classmethod
    def foreign(cls, kubeconfig: Path) -> Cluster:
        """Somebody's cluster."""
        return cls(kubeconfig, Environment.of_checkout().kubectl, None)

    @property
    def node(self) -> Node:
        """The node, for tests that are marked `node`."""
        if self.controlled is None:
            raise LookupError("this cluster's node is not ours: mark the test with pytest.mark.node")
        return self.controlled

    @property
    def context(self) -> str:
        """The kubeconfig's current context."""
        return self.kubectl("config", "current-context").strip()

    def kubectl(self, *argv: str, stdin: str | None = None, timeout_seconds: float = 60) -> str:
        """Run kubectl as administrator and return its stdout; CalledProcessError with stderr as note when it fails."""
        command = [str(self.kubectl_binary), f"--kubeconfig={self.kubeconfig}", *argv]
        cache = str(CHECKOUT / "build" / "kubectl-cache")  # or it would be in the user's ~/.kube
        environment = {**os.environ, "KUBERC": "off", "KUBECTL_KUBERC": "false", "KUBECACHEDIR": cache}
        if self.controlled is not None:
            environment.update(without_proxy_for(self.controlled.ip))
        done = subprocess.run(
            command, input=stdin, text=True, capture_output=True, timeout=timeout_seconds, env=environment, check=False
        )
        if done.returncode:
            error = subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
            error.add_note(done.stderr)
            raise error
        return done.stdout

    def get(self, *argv: str) -> dict[str, Any]:
        """Run `kubectl get … -o json` and return the object."""
        answer: dict[str, Any] = json.loads(self.kubectl("get", *argv, "-o=json"))
        return answer

    def apply(self, namespace: str, *manifests: Manifest) -> None:
        """Create or change objects in a namespace."""
        self.kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=as_list(*manifests))

    def wait_ready(self, namespace: str, *workloads: str, seconds: float = 60) -> None:
        """Wait until workloads (`deployment/web`, `statefulset/db`) have all their replicas Ready."""
        for workload in workloads:
            arguments = ("rollout", "status", workload, f"--namespace={namespace}", f"--timeout={seconds:g}s")
            self.kubectl(*arguments, timeout_seconds=seconds + 10)

    def wait_endpoints(self, namespace: str, name: str, pods: int = 1, seconds: float = 30) -> None:
        """Wait until a Service sends to so many Ready pods: its EndpointSlice comes a moment after they are Ready."""
        arguments = (f"--namespace={namespace}", f"--selector=kubernetes.io/service-name={name}")

        def are_there() -> bool:
            items = self.get("endpointslices", *arguments)["items"]
            ready = [
                endpoint for item in items for endpoint in item["endpoints"] or () if endpoint["conditions"]["ready"]
            ]
            return len(ready) >= pods

        wait_until(f"endpoint of {namespace}/{name}", are_there, seconds)

    def pods(self, namespace: str, app: str) -> list[str]:
        """The names of the pods with app=APP that are Ready and not on their way out, sorted."""
        pods = self.get("pods", f"--namespace={namespace}", f"--selector=app={app}")["items"]
        return sorted(pod["metadata"]["name"] for pod in pods if _is_ready(pod))

    def make_namespace(self, name: str) -> None:
        """Create a namespace that pods can be made in at once: its ServiceAccount is not waited for, but made, too."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
        # On the server: it makes what is not there in one request, also if the controller is quicker with the account.
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=as_list(namespace, account))


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]
