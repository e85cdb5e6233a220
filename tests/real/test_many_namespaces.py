"""Forty namespaces by `-n`, with rights in each only: about the time and memory of one with as many Services."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.real.cluster import Cluster
from tests.real.manifests import Manifest, as_list, service
from tests.real.product import Product
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

COUNT = 40
USER = "jane-of-forty"
MOST_TIMES = 2.0


def _namespaced(namespace: str, manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def _rights(namespace: str) -> list[Manifest]:
    """What lets USER forward what is in a namespace."""
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": "forward"}, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "forward"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "forward"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": USER}],
    }
    return [_namespaced(namespace, role), _namespaced(namespace, binding)]


def _memory_mb(sandbox: Sandbox) -> float:
    texts = [Path(f"/proc/{process.pid}/smaps_rollup").read_text() for process in sandbox.processes()]
    return sum(int(size) for text in texts for size in re.findall(r"^Pss: +(\d+)", text, re.MULTILINE)) / 1024


def _start(product: Product, namespaces: list[str]) -> tuple[float, float]:
    """Forward them. Returns the seconds that took, and the MB that all processes then need."""
    began = time.monotonic()
    done = product.detach("--as", USER, "--no-hosts", *(f"--namespace={namespace}" for namespace in namespaces))
    seconds = time.monotonic() - began
    assert f"{COUNT} Service" in done.stderr, done.stderr
    memory = _memory_mb(product.sandbox)
    product.stop("--as", USER)
    return seconds, memory


@pytest.mark.node
def test_forty_namespaces_cost_about_as_much_as_one(cluster: Cluster, product: Product, figure: Figure) -> None:
    one = f"{USER}-all"
    many = [f"{USER}-{number}" for number in range(COUNT)]
    names = [f"web-{number}" for number in range(COUNT)]
    spaces: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (one, *many)
    ]
    ports: dict[int, int | str] = {8080: "http"}
    services = [_namespaced(one, service(name, ports, "web")) for name in names]
    services += [_namespaced(namespace, service("web", ports, "web")) for namespace in many]
    rights = [manifest for name in (one, *many) for manifest in _rights(name)]
    try:
        cluster.kubectl("apply", "-f", "-", stdin=as_list(*spaces, *rights, *services))
        single = min(_start(product, [one]) for _ in range(2))
        forty = min(_start(product, many) for _ in range(2))
    finally:
        cluster.kubectl("delete", "namespaces", one, *many, "--wait=false")
    figure(
        f"{COUNT} namespaces of one Service: {forty[0]:.2f} s, {forty[1]:.0f} MB;"
        f" one of {COUNT} Services: {single[0]:.2f} s, {single[1]:.0f} MB"
    )
    assert forty[0] <= MOST_TIMES * single[0]
    assert forty[1] <= MOST_TIMES * single[1]
