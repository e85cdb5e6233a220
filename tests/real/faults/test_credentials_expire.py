"""Exec credentials that expire again and again: no connection fails, no kubectl runs the plugin twice for an expiry."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.faults.beside import both, start
from tests.real.faults.figures import Figures
from tests.real.product import Product

LIVES_SECONDS = 15.0
EXPIRIES = 3
KUBECTLS = 2  # the transport, and the port-forward to the new pod, each for itself
# Gives the same certificate with another end each time, and notes when and for whom.
PLUGIN = """#!/usr/bin/python3
import datetime, json, os, pathlib, sys, time
here = pathlib.Path(__file__).parent
with open(here / "runs", "a") as runs:
    runs.write(f"{time.time()} {pathlib.Path(f'/proc/{os.getppid()}/cmdline').read_text()!r}\\n")
credential = json.loads((here / "credential.json").read_text())
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=LIVES)
credential["status"]["expirationTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
print(json.dumps(credential))
"""


def _use_plugin(cluster: Cluster, product: Product) -> Path:
    """The user's credentials come from a plugin; the file of its runs."""
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o=json"))
    user = config["users"][0]["user"]
    kind = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    pairs = {"clientCertificateData": "client-certificate-data", "clientKeyData": "client-key-data"}
    status = {name: base64.b64decode(user[key]).decode() for name, key in pairs.items()}
    directory = product.sandbox.home / "plugin"
    directory.mkdir()
    (directory / "credential.json").write_text(json.dumps({**kind, "status": status}))
    (directory / "plugin").write_text(PLUGIN.replace("LIVES", str(LIVES_SECONDS)))
    (directory / "plugin").chmod(0o755)
    for path in (directory, *directory.iterdir()):
        product.sandbox.give(path)
    command = {"command": str(directory / "plugin"), "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": {"apiVersion": kind["apiVersion"], **command}}
    product.sandbox.use(json.dumps(config))
    return directory / "runs"


@pytest.mark.node
@pytest.mark.timeout(300)
def test_credentials_that_expire(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    runs = _use_plugin(cluster, product)
    start(cluster, namespace, product, replicas=1, pre_stop_seconds=1)
    with both(product, namespace) as clients:
        before = len(runs.read_text().splitlines())
        for _ in range(EXPIRIES):
            began = time.monotonic()
            _wait(began + LIVES_SECONDS)
            # Nobody needs credentials as long as all connections live on; another pod needs a new one.
            cluster.kubectl("rollout", "restart", "deployment/web", f"--namespace={namespace}")
            cluster.wait_ready(namespace, "deployment/web")
            clients.ours.more(40)
    notes = runs.read_text().splitlines()[before:]
    failed, bare_failed = clients.ours.failed, clients.bare.failed
    what = f"credentials that expire every {LIVES_SECONDS:g} s, {EXPIRIES} rollouts"
    figures.at_most(0, what, len(failed), len(bare_failed), unit="failed")
    figures.at_most(KUBECTLS * EXPIRIES, f"{what}, plugin", len(notes), unit="runs")
    assert notes, "no expiry was met"
    product.stop()
    figures.check([*failed, *notes])


def _wait(moment: float) -> None:
    """Return at a moment of the monotonic clock."""
    wait_until("time", lambda: time.monotonic() >= moment, moment - time.monotonic() + 30)
