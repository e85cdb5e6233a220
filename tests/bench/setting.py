"""What every measurement uses: the cluster, the user that measures, and the probe that it runs."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench import objects
from tests.bench.objects import Services
from tests.cluster.commands import ClusterError, wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import Manifest
from tests.real.sandbox import Sandbox

PROBE = Path(__file__).with_name("probe.py").read_text()


class Setting:
    """Where everything is measured. `with Setting(cluster, sandbox) as setting`: what was made goes at the end.

    Args:
        cluster: where the Services are made.
        sandbox: the user that measures.
    """

    def __init__(self, cluster: Cluster, sandbox: Sandbox) -> None:
        self.cluster = cluster
        self.sandbox = sandbox
        self._stack = ExitStack()

    def __enter__(self) -> Setting:
        self.sandbox.use(self.cluster.kubectl("config", "view", "--raw", "--flatten", "--minify"))
        self._stack.callback(self._end_processes)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def make(self, services: Services) -> None:
        """Make a namespace with these Services and their pods, unless it is there, and wait for all endpoints."""
        if self._has(services.namespace):
            return
        self.make_namespace(services.namespace)
        say(f"making {services.count} Services on {services.pods} pods")
        self.cluster.apply(services.namespace, *objects.pods(services))
        manifests = objects.services(services)
        self._apply_in_batches(services.namespace, manifests)
        ready = ("wait", "pod", "--selector=bench", "--for=condition=Ready", f"--namespace={services.namespace}")
        self.cluster.kubectl(*ready, "--timeout=600s", timeout_seconds=620)
        wait_until("endpoints of every Service", lambda: self._endpoints(services) >= len(manifests), 120, 1)

    def make_namespace(self, name: str) -> None:
        """Make a namespace that goes at the end."""
        self._stack.callback(self.cluster.kubectl, "delete", "namespace", name, "--wait=false", "--ignore-not-found")
        self.cluster.make_namespace(name)

    def probe(self, operation: str, **request: Any) -> dict[str, list[float]]:
        """Run an operation of probe.py as the user and return its figures; ClusterError if it fails."""
        done = self.sandbox.run("/usr/bin/python3", "-c", PROBE, operation, json.dumps(request), timeout=600)
        if done.returncode:
            raise ClusterError(f"the probe {operation} failed:\n{done.stderr}")
        answer: dict[str, list[float]] = json.loads(done.stdout)
        return answer

    def items(self) -> list[dict[str, Any]]:
        """What `kubectl localize ls` lists."""
        items: list[dict[str, Any]] = json.loads(self.sandbox.localize("ls", "--output=json").stdout)["items"]
        return items

    def stop(self) -> None:
        """End the supervisor, if one runs."""
        self.sandbox.localize("stop")

    def _has(self, namespace: str) -> bool:
        return bool(self.cluster.kubectl("get", "namespace", namespace, "--ignore-not-found", "-o=name").strip())

    def _apply_in_batches(self, namespace: str, manifests: list[Manifest], size: int = 250) -> None:
        """Create them; more at once would take longer than kubectl is given."""
        for first in range(0, len(manifests), size):
            self.cluster.apply(namespace, *manifests[first : first + size])

    def _endpoints(self, services: Services) -> int:
        slices = self.cluster.get("endpointslices", f"--namespace={services.namespace}")["items"]
        return sum(1 for endpoint_slice in slices if endpoint_slice["endpoints"])

    def _end_processes(self) -> None:
        self.stop()
        self.sandbox.kill_all(self.sandbox.processes())


def say(text: str) -> None:
    """Tell the person who waits what is measured now."""
    print(f"bench: {text}", file=sys.stderr, flush=True)
