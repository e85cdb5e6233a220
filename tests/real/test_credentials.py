"""Exec credential plugins: every kubectl runs one, and the user is to be asked once."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product

# Asks its user if it has no cached credentials (that takes a moment, and is noted), like those of cloud providers.
PLUGIN = """#!/usr/bin/python3
import pathlib, sys, time
here = pathlib.Path(__file__).parent
with open(here / "runs", "a") as runs:
    runs.write("run\\n")
if not (here / "cached").exists():
    with open(here / "asked", "a") as asked:
        asked.write("asked\\n")
    time.sleep(0.5)
    (here / "cached").touch()
sys.stdout.write((here / "credential.json").read_text())
"""


def _use_plugin(cluster: Cluster, product: Product) -> Path:
    """Make the user's kubeconfig get the administrator's certificate from a plugin; the plugin's directory."""
    home = product.sandbox.home
    config = json.loads(cluster.kubectl("config", "view", "--raw", "--flatten", "--minify", "-o=json"))
    directory = home / "plugin"
    directory.mkdir()
    user = config["users"][0]["user"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {
            "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
        },
    }
    (directory / "credential.json").write_text(json.dumps(credential))
    plugin = directory / "plugin"
    plugin.write_text(PLUGIN)
    plugin.chmod(0o755)
    for path in (directory, *directory.iterdir()):
        product.sandbox.give(path)
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin),
            "interactiveMode": "Never",
        }
    }
    product.sandbox.use(json.dumps(config))
    return directory


@pytest.mark.core
@pytest.mark.node
def test_a_credential_plugin_asks_its_user_once(
    cluster: Cluster, namespace: str, product: Product, old_kubectl: Path
) -> None:
    """With a plain kubectl: one that asks the server for its version would prove the credentials before it is time."""
    names = [f"web-{number}" for number in range(4)]
    cluster.apply(namespace, deployment("web"), *(service(name, {7080: "http"}, "web") for name in names))
    cluster.wait_ready(namespace, "deployment/web")
    directory = _use_plugin(cluster, product)

    path = f"{old_kubectl}:{product.sandbox.env['PATH']}"
    done = product.sandbox.localize("-d", "-n", namespace, env={"PATH": path})
    assert done.returncode == 0, done.stderr
    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: product.sandbox.fetch(f"http://{name}.{namespace}:7080/"), names))

    assert len(set(answers)) == 1
    assert (directory / "asked").read_text() == "asked\n"
    runs = (directory / "runs").read_text().splitlines()
    assert len(runs) == 2, "the transport's kubectl runs it for all requests, and the one port-forward runs it"
    product.stop()
