"""A credential plugin that asks in the terminal: asked once, in the foreground."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

from tests.cluster.commands import wait_until
from tests.real.kubeconfigs import own, program
from tests.real.product import Product, assert_fails
from tests.real.shop import Shop

# Only with a file `keeps` beside it, it does not ask again.
PLUGIN = """#!/usr/bin/python3
import pathlib, sys
here = pathlib.Path(__file__).parent
if (here / "keeps").exists() and (here / "asked").exists():
    print((here / "credential.json").read_text())
    sys.exit()
if not sys.stdin.isatty():
    sys.exit("no terminal")
sys.stderr.write("code: ")
sys.stderr.flush()
if sys.stdin.readline().strip() != "1234":
    sys.exit("wrong code")
with open(here / "asked", "a") as asked:
    asked.write("asked\\n")
sys.stdout.write((here / "credential.json").read_text())
"""


def _use_plugin(product: Product, mode: str) -> Path:
    """Make the user's kubeconfig get the administrator's certificate from the plugin. Returns the plugin's path."""
    sandbox = product.sandbox
    config = own(sandbox)
    user = config["users"][0]["user"]
    version = "client.authentication.k8s.io/v1"
    status = {
        "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
        "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
    }
    plugin = program(sandbox, sandbox.home / "plugin" / "login", PLUGIN)
    credential = plugin.with_name("credential.json")
    credential.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))
    sandbox.give(credential)
    config["users"][0]["user"] = {"exec": {"apiVersion": version, "command": str(plugin), "interactiveMode": mode}}
    sandbox.use(json.dumps(config))
    return plugin


def _start_and_type_the_code(product: Product, namespace: str) -> None:
    command = ("kubectl", "localize", "-d", "-n", namespace, "web")
    with contextlib.closing(product.sandbox.pty(*command)) as terminal:
        terminal.expect("code: ")
        terminal.send("1234\r")
        assert terminal.wait() == 0, terminal.text


def _logins(product: Product) -> list[Path]:
    """The files with the credentials that a plugin gave."""
    return list(product.sandbox.home.glob(".kube/localize/*/login"))


def _remove_state_directory(product: Product) -> None:
    """Remove it, and end kubectl, which has to read the credentials anew."""
    sandbox = product.sandbox
    shutil.rmtree(sandbox.home / ".kube" / "localize")
    for process in sandbox.processes():
        if "port-forward" in process.command:
            os.kill(process.pid, signal.SIGKILL)
    wait_until("the credentials", lambda: bool(_logins(product)), 20)
    wait_until("supervisor", lambda: bool(product.document()["supervisors"]), 20)


def test_one_that_insists_and_keeps_nothing_is_asked_before_anything_starts(shop: Shop, product: Product) -> None:
    sandbox = product.sandbox
    plugin = _use_plugin(product, "Always")
    assert_fails(sandbox.localize("-d", "-n", shop.namespace, "web"), "asks in the terminal, and there is none", "-d")
    assert sandbox.processes() == []
    _start_and_type_the_code(product, shop.namespace)
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    product.detach("-n", shop.namespace, "web")
    dry_run = sandbox.localize("expose", "--dry-run", "--force", "--map=9999:7080", f"{shop.namespace}/web")
    assert dry_run.returncode == 0, dry_run.stderr
    _remove_state_directory(product)
    product.detach("-n", shop.namespace, "web")
    assert product.document()["supervisors"][0]["warnings"] == []
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    assert plugin.with_name("asked").read_text() == "asked\n"
    product.stop()
    assert not _logins(product)


def test_one_that_asks_if_it_can_is_asked_when_its_credentials_are_needed(shop: Shop, product: Product) -> None:
    sandbox = product.sandbox
    plugin = _use_plugin(product, "IfAvailable")
    plugin.with_name("keeps").touch()
    assert_fails(sandbox.localize("-d", "-n", shop.namespace, "web"), "does not accept your credentials", "log in")
    _start_and_type_the_code(product, shop.namespace)
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    assert plugin.with_name("asked").read_text() == "asked\n"
    product.stop()
