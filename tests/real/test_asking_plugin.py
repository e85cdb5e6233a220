"""A credential plugin that asks in the terminal, and keeps nothing: asked once, before anything starts."""

from __future__ import annotations

import base64
import contextlib
import json

from tests.real.kubeconfigs import own, program
from tests.real.product import Product, assert_fails
from tests.real.shop import Shop

PLUGIN = """#!/usr/bin/python3
import pathlib, sys
here = pathlib.Path(__file__).parent
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


def test_it_is_asked_once_in_the_foreground(shop: Shop, product: Product) -> None:
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
    config["users"][0]["user"] = {
        "exec": {"apiVersion": version, "command": str(plugin), "interactiveMode": "Always"},
    }
    sandbox.use(json.dumps(config))

    assert_fails(sandbox.localize("-d", "-n", shop.namespace, "web"), "asks in the terminal, and there is none", "-d")
    assert sandbox.processes() == []
    with contextlib.closing(sandbox.pty("kubectl", "localize", "-d", "-n", shop.namespace, "web")) as terminal:
        terminal.expect("code: ")
        terminal.send("1234\r")
        assert terminal.wait() == 0, terminal.text
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    product.detach("-n", shop.namespace, "web")
    dry_run = sandbox.localize("expose", "--dry-run", "--force", "--map=9999:7080", f"{shop.namespace}/web")
    assert dry_run.returncode == 0, dry_run.stderr
    assert plugin.with_name("asked").read_text() == "asked\n"
    product.stop()
    assert not list(sandbox.home.glob(".kube/localize/*/login"))
