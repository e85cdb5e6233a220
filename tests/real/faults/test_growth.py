"""A thousand Services come within a minute, and go: the names follow, and the supervisor is as before."""

from __future__ import annotations

import time

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.faults.beside import PORT, start
from tests.real.faults.figures import Figures
from tests.real.faults.weight import descriptors, megabytes
from tests.real.manifests import Manifest, service
from tests.real.product import Product

SERVICES = 1_000
AT_A_TIME = 100
LABEL = "growth"
BOUND_SECONDS = 3
MORE_DESCRIPTORS = 3
MORE_MEGABYTES = 10.0  # a thousand Services' objects were there


def _labelled(name: str) -> Manifest:
    """A Service that goes with the others."""
    manifest = service(name, {PORT: "http"}, "web")
    return {**manifest, "metadata": {"name": name, "labels": {LABEL: LABEL}}}


def _names(product: Product, namespace: str) -> set[str]:
    """The Services of the namespace in the hosts file, by their short names."""
    words = product.sandbox.hosts.read_text().split()
    return {word.removesuffix(f".{namespace}") for word in words if word.endswith(f".{namespace}")}


def _seconds_until(product: Product, namespace: str, names: set[str]) -> float:
    """How long it takes from now on until the hosts file has exactly these."""
    began = time.monotonic()
    wait_until("exact set of names", lambda: _names(product, namespace) == names, 60, every_seconds=0.05)
    return time.monotonic() - began


@pytest.mark.alone
@pytest.mark.timeout(600)
def test_a_thousand_services_come_and_go(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    start(cluster, namespace, product)
    pid, before = product.pid(), _names(product, namespace)
    # A first round shows what the supervisor takes for good: its memory is compared with the one after that.
    weights = []
    for _ in range(2):
        manifests = [_labelled(f"s{number}") for number in range(SERVICES)]
        for first in range(0, SERVICES, AT_A_TIME):
            cluster.apply(namespace, *manifests[first : first + AT_A_TIME])
        came = _seconds_until(product, namespace, before | {f"s{number}" for number in range(SERVICES)})
        # In one request: one for each of them takes kubectl three minutes.
        path = f"/api/v1/namespaces/{namespace}/services?labelSelector={LABEL}%3D{LABEL}"
        cluster.kubectl("delete", f"--raw={path}", timeout_seconds=300)
        went = _seconds_until(product, namespace, before)
        weights.append((descriptors(pid), megabytes(pid)))
    (first_descriptors, first_megabytes), (last_descriptors, last_megabytes) = weights
    figures.at_most(BOUND_SECONDS, f"{SERVICES} Services come, their names after the last one", came)
    figures.at_most(BOUND_SECONDS, f"{SERVICES} Services go, their names after the last one", went)
    more = last_descriptors - first_descriptors
    figures.at_most(MORE_DESCRIPTORS, f"{SERVICES} Services again, then descriptors", more, unit="more")
    grown = round(last_megabytes - first_megabytes, 1)
    figures.at_most(MORE_MEGABYTES, f"{SERVICES} Services again, then memory", grown, unit="MB more")
    assert product.pid() == pid
    product.stop()
    figures.check()
