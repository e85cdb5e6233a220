"""A kubeconfig that changes, goes, or belongs to one shell; and a kubectl that looks around where the user is."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.cluster.commands import wait_until
from tests.real.kubeconfigs import Config, own, program, write
from tests.real.product import Product, assert_fails, warnings
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop

AT_ONCE_SECONDS = 8.0  # on a machine that does other things, too; a connection is held for 30 s
# Runs the kubectl whose path stands in `.kubectl` of the working directory or of one above it, as asdf and mise do.
SHIM = """#!/bin/sh
directory=$PWD
while [ ! -e "$directory/.kubectl" ]; do
  [ "$directory" = / ] && { echo "No version is set for kubectl in $PWD" >&2; exit 126; }
  directory=$(dirname "$directory")
done
exec "$(cat "$directory/.kubectl")" "$@"
"""


def _fails_at_once(product: Product, url: str) -> float:
    """Connect, which has to fail. Returns how long it took."""
    began = time.monotonic()
    answer = product.fetch_all(url, timeout=40)[0]
    assert "Error" in answer, answer
    return time.monotonic() - began


def _another_ca(sandbox: Sandbox, config: Config) -> None:
    """The server has a certificate of another authority by now; `identity` stays, as that is the server's host."""
    config["clusters"][0]["cluster"]["certificate-authority-data"] = _a_certificate(sandbox)


def _no_such_certificate(sandbox: Sandbox, config: Config) -> None:
    user = config["users"][0]["user"]
    del user["client-certificate-data"]
    user["client-certificate"] = "/nowhere/me.crt"


def _another_token(sandbox: Sandbox, config: Config) -> None:
    config["users"][0]["user"] = {"token": "of yesterday"}


def _no_plugin(sandbox: Sandbox, config: Config) -> None:
    version = "client.authentication.k8s.io/v1"
    plugin = {"apiVersion": version, "command": "no-such-plugin", "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": plugin}


def _a_certificate(sandbox: Sandbox) -> str:
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-subj", "/CN=another", "-days", "1", "-keyout", os.devnull]
    return base64.b64encode(subprocess.run(words, capture_output=True, check=True).stdout).decode()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_no_such_certificate, "/nowhere/me.crt"),
        (_another_token, "provide credentials|Unauthorized|logged in"),
        (_no_plugin, "no-such-plugin not found"),
    ],
)
def test_what_fails_for_good_is_said_at_once_and_for_as_long_as_it_lasts(
    shop: Shop, product: Product, spoil: Callable[[Sandbox, Config], None], reason: str
) -> None:
    sandbox, key = product.sandbox, f"{shop.namespace}/web"
    good = own(sandbox)
    product.detach("-n", shop.namespace, "web")
    bad = own(sandbox)
    spoil(sandbox, bad)
    sandbox.use(json.dumps(bad))
    product.wait_item(key, "refused", lambda item: item["status"] == "Backoff")
    assert _fails_at_once(product, shop.url("web", 7080)) < AT_ONCE_SECONDS
    began = time.monotonic()
    while time.monotonic() - began < 4:
        item = product.items()[key]
        assert (item["status"], bool(item["reason"])) == ("Backoff", True), item
    assert_fails(sandbox.localize("-d", "-n", shop.namespace, "web"), reason)
    sandbox.use(json.dumps(good))
    product.wait_answer(shop.url("web", 7080), lambda answer: answer.startswith("web-"), 15)
    product.wait_item(key, "well", lambda item: item["status"] == "Active" and not item["reason"])
    product.stop()


def test_a_server_whose_certificate_nobody_vouches_for_is_refused_at_the_start(shop: Shop, sandbox: Sandbox) -> None:
    config = own(sandbox)
    _another_ca(sandbox, config)
    sandbox.use(json.dumps(config))
    assert_fails(sandbox.localize("-d", "-n", shop.namespace), "cannot be used: .*x509", "readyz")


@pytest.mark.parametrize("change", ["deleted", "renamed", "another cluster"])
def test_a_context_that_is_gone_is_used_on_and_that_is_said(shop: Shop, product: Product, change: str) -> None:
    sandbox = product.sandbox
    config = own(sandbox)
    name = config["current-context"]
    product.detach("-n", shop.namespace, "web")
    if change == "deleted":
        sandbox.kubeconfig.unlink()
    elif change == "renamed":
        sandbox.kubectl("config", "rename-context", name, "another-name")
    else:
        other = own(sandbox)
        _another_ca(sandbox, other)
        other["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
        sandbox.use(json.dumps(other))

    def says() -> bool:
        (supervisor,) = product.document()["supervisors"]
        return any(name in text and "go on with" in text for text in supervisor["warnings"])

    wait_until("warning", says, 10)
    assert product.sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    assert "go on with" in sandbox.localize("ls").stderr
    sandbox.use(json.dumps(config))
    wait_until("no warning", lambda: not says(), 10)
    product.stop()
    assert not list(sandbox.home.glob(".kube/localize/*/kubeconfig"))


def test_shells_with_a_kubeconfig_each_share_a_supervisor(shop: Shop, product: Product) -> None:
    """kubie and kush give each shell a copy, which goes with the shell."""
    sandbox = product.sandbox
    config = own(sandbox)
    first, second, third = (
        write(sandbox, sandbox.home / "shells" / name, config) for name in ("first", "second", "third")
    )
    stranger = own(sandbox)
    _another_token(sandbox, stranger)
    other = write(sandbox, sandbox.home / "shells" / "other", stranger)
    done = sandbox.localize("-d", "-n", shop.namespace, "web", env={"KUBECONFIG": str(first)})
    assert done.returncode == 0, done.stderr
    pid = product.pid()
    joined = sandbox.localize("-d", "-n", shop.namespace, "web", env={"KUBECONFIG": str(second)})
    assert (joined.returncode, warnings(joined), product.pid()) == (0, [], pid), joined.stderr
    first.unlink()
    joined = sandbox.localize("-d", "-n", shop.namespace, "web", env={"KUBECONFIG": str(third)})
    assert (joined.returncode, product.pid()) == (0, pid), joined.stderr
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    refused = sandbox.localize("-d", "-n", shop.namespace, "web", env={"KUBECONFIG": str(other)})
    assert_fails(refused, f"already in use by pid {pid}, with other credentials than those in {other}", "stop")
    done = sandbox.localize("stop", env={"KUBECONFIG": str(second)})
    assert done.returncode == 0, done.stderr


def test_a_shim_finds_its_version_where_the_user_is(shop: Shop, product: Product) -> None:
    sandbox = product.sandbox
    project = sandbox.home / "project"
    here = project / "src" / "deep"
    here.mkdir(parents=True)
    for path in (project, project / "src", here):
        sandbox.give(path)
    program(sandbox, project / ".kubectl", str(sandbox.environment.kubectl))
    shim = program(sandbox, sandbox.home / "shims" / "kubectl", SHIM)
    search = f"{shim.parent}:{sandbox.env['PATH']}"
    start = f"cd {here} && exec kubectl localize -d -n {shop.namespace} web"
    done = sandbox.run("sh", "-c", start, env={"PATH": search})
    assert done.returncode == 0, done.stderr
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    shutil.rmtree(project / "src")
    assert sandbox.fetch(shop.url("web", 7081)).startswith("web-"), "the next directory above it is taken"
    (project / ".kubectl").unlink()
    product.detach("-n", shop.other, "web")
    assert _fails_at_once(product, f"http://web.{shop.other}:7080/") < AT_ONCE_SECONDS
    item = product.items()[f"{shop.other}/web"]
    assert (item["status"], "No version is set" in item["reason"]) == ("Backoff", True), item
    product.stop()


def test_relative_paths_lead_where_kubectl_finds_them(shop: Shop, product: Product) -> None:
    """KUBECONFIG, certificates, and a plugin beside its kubeconfig that reads a file where the user is."""
    sandbox = product.sandbox
    config = own(sandbox)
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    project = sandbox.home / "project"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {
            "clientCertificateData": base64.b64decode(user["client-certificate-data"]).decode(),
            "clientKeyData": base64.b64decode(user["client-key-data"]).decode(),
        },
    }
    program(sandbox, project / "login", "#!/bin/sh\nexec cat credential.json\n")
    write(sandbox, project / "credential.json", credential)
    (project / "ca.crt").write_bytes(base64.b64decode(cluster.pop("certificate-authority-data")))
    sandbox.give(project / "ca.crt")
    cluster["certificate-authority"] = "ca.crt"
    plugin = {"apiVersion": credential["apiVersion"], "command": "./login", "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": plugin}
    write(sandbox, project / "config", config)
    command = f"cd {project} && exec kubectl localize -d -n {shop.namespace} web"
    done = sandbox.run("sh", "-c", command, env={"KUBECONFIG": "config"})
    assert done.returncode == 0, done.stderr
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    (project / "config").unlink()

    def says() -> bool:
        return "go on with" in sandbox.localize("ls").stderr

    wait_until("the copy", says, 10)
    assert sandbox.fetch(shop.url("web", 7081)).startswith("web-")
    product.stop("--all")
