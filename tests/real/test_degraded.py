"""What is missing and does not stop the rest: a warning each, exit code 0, and the rest works."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from tests.cluster.commands import run, wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import Manifest, deployment, service
from tests.real.product import Product, assert_fails, warnings
from tests.real.sandbox import Sandbox
from tests.real.shop import Shop


def _role(name: str) -> list[Manifest]:
    """What the product needs, and no more, for the service account of that name."""
    rules = [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subjects = [{"kind": "ServiceAccount", "name": name}]
    api = "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
        {"apiVersion": api, "kind": "Role", "metadata": {"name": name}, "rules": rules},
        {"apiVersion": api, "kind": "RoleBinding", "metadata": {"name": name}, "roleRef": role, "subjects": subjects},
    ]


def _become(cluster: Cluster, sandbox: Sandbox, namespace: str, account: str) -> None:
    """Make the sandbox's user that service account."""
    token = cluster.kubectl("create", "token", account, f"--namespace={namespace}").strip()
    config = json.loads(sandbox.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    config["contexts"][0]["context"]["namespace"] = namespace
    sandbox.use(json.dumps(config))


def test_only_one_namespace_may_be_listed(cluster: Cluster, namespace: str, shop: Shop, product: Product) -> None:
    cluster.apply(namespace, *_role("developer"), deployment("web"), service("web", {7080: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    _become(cluster, product.sandbox, namespace, "developer")
    assert "forbidden" in product.sandbox.run("kubectl", "get", "services", "-A").stderr
    wait_until(
        "the role", lambda: product.sandbox.run("kubectl", "get", "services", "-n", namespace).returncode == 0, 10
    )
    done = product.detach()
    assert len(warnings(done)) == 1
    assert f"only namespace {namespace} is forwarded" in warnings(done)[0]
    assert product.fetch_all(f"http://web.{namespace}:7080/") == cluster.pods(namespace, "web")
    assert f"only namespace {namespace} is forwarded" in product.sandbox.localize("ls").stderr
    cluster.apply(namespace, service("new", {7080: "http"}))
    product.wait_item(f"{namespace}/new", "listed", lambda item: item["status"] == "Waiting")
    product.stop()

    assert product.detach("-n", namespace).stderr.count("warning:") == 0
    product.stop()
    done = product.sandbox.localize("-n", shop.namespace)
    assert_fails(done, "you may not list Services and EndpointSlices: .*forbidden", "-n")


@pytest.mark.sudo
def test_a_hosts_file_that_root_cannot_write_either(shop: Shop, sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(tidy=False)
    sandbox.bind(sandbox.hosts, "/etc/hosts")
    run(*sandbox.argv()[:3], "mount", "-o", "remount,bind,ro", "/etc/hosts")
    before = sandbox.hosts.read_bytes()
    product = Product(sandbox)
    done = product.detach("-n", shop.namespace, "web")
    (warning,) = warnings(done)
    assert "names do not resolve, as /etc/hosts cannot be written (" in warning
    assert "ead-only" in warning
    item = product.items()[f"{shop.namespace}/web"]
    assert product.fetch_all(f"http://{item['address']}:7080/")[0].startswith("web-")
    (supervisor,) = product.document()["supervisors"]
    assert supervisor["hosts"] == "denied"
    product.stop()
    assert sandbox.hosts.read_bytes() == before


def test_a_port_that_somebody_else_has_is_taken_over_once_it_is_free(shop: Shop, product: Product) -> None:
    product.detach("-n", shop.namespace, "web")
    address = product.items()[f"{shop.namespace}/web"]["address"]
    product.stop()
    with socket.create_server((address, 7081)) as stranger:
        done = product.detach("-n", shop.namespace, "web")
        (warning,) = warnings(done)
        assert f"{shop.namespace}/web: another program has {address}:7081" in warning
        item = product.items()[f"{shop.namespace}/web"]
        assert (item["address"], item["status"]) == (address, "Backoff")
        assert [port["status"] for port in item["ports"]] == ["Idle", "Backoff", "Idle"]
        assert "another program has" in item["reason"]
        assert "another program has" in product.sandbox.localize("ls").stderr
        assert product.fetch_all(shop.url("web", 7080))[0].startswith("web-")
        stranger.close()
    product.wait_item(f"{shop.namespace}/web", "whole", lambda item: item["status"] in ("Idle", "Active"))
    assert product.fetch_all(shop.url("web", 7081, "/port")) == ["18081"]
    assert product.sandbox.localize("ls").stderr == ""
    product.stop()


def test_the_state_file_cannot_be_written(cluster: Cluster, namespace: str, product: Product) -> None:
    cluster.apply(namespace, service("first", {7080: 8080}))
    process = product.sandbox.spawn("kubectl", "localize", "-n", namespace)
    assert process.stdout is not None
    with process.stdout as said:
        _read_until(said.readline, "Ctrl-C ends it")
        (directory,) = (product.sandbox.home / ".kube" / "localize").glob("*-*/")
        directory.chmod(0o500)
        cluster.apply(namespace, service("second", {7080: 8080}))
        line = _read_until(said.readline, "warning:")
        assert "the state file cannot be written, so `ls` is out of date: Permission denied" in line
        wait_until("the new name", lambda: product.sandbox.resolve(f"second.{namespace}") != [], 10)
        directory.chmod(0o700)
        product.wait_item(f"{namespace}/second", "listed again", lambda item: item["status"] == "Waiting")
        product.stop()
        assert process.wait(20) == 0


def _read_until(readline: Callable[[], str], word: str) -> str:
    said = ""
    while True:
        line = readline()
        assert line, said
        said += line
        if word in line:
            return line
