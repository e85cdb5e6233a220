"""kubectl under another name, and kubectl in a pod, where there is no kubeconfig."""

from __future__ import annotations

import base64
import os
from urllib.parse import urlsplit

import pytest

from tests.real.cluster import Cluster
from tests.real.kubeconfigs import own, program, write
from tests.real.manifests import Manifest
from tests.real.product import Product, assert_fails
from tests.real.shop import Shop

# As microk8s and k3s do: a subcommand runs the kubectl that they bring, with a kubeconfig of their own.
BRINGS = """#!/bin/sh
[ "$1" = kubectl ] || { echo "unknown command" >&2; exit 1; }
shift
export KUBECONFIG="${KUBECONFIG:-/CONFIG}"
exec PROGRAM "$@"
"""
ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"


@pytest.mark.sudo
@pytest.mark.parametrize("name", ["microk8s", "k3s"])
def test_a_kubectl_that_comes_with_a_small_kubernetes_is_found(shop: Shop, product: Product, name: str) -> None:
    sandbox = product.sandbox
    hidden = write(sandbox, sandbox.home / "snap" / "client.config", own(sandbox))
    sandbox.kubeconfig.unlink()
    text = BRINGS.replace("/CONFIG", str(hidden)).replace("PROGRAM", str(sandbox.environment.kubectl))
    directory = program(sandbox, sandbox.home / "bin" / name, text).parent
    (directory / "sudo").symlink_to("/usr/bin/sudo")
    search = f"{directory}:{sandbox.environment.command.parent}"  # this machine may have a kubectl of its own
    command = ("kubectl-localize", "-d", "-n", shop.namespace, "web")
    done = sandbox.run(*command, env={"PATH": search})
    assert done.returncode == 0, done.stderr
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    again = sandbox.run(*command, env={"PATH": search})
    assert again.returncode == 0, again.stderr
    stopped = sandbox.run("kubectl-localize", "stop", env={"PATH": search})
    assert stopped.returncode == 0, stopped.stderr


def test_a_kubectl_that_only_has_another_name_is_named(product: Product) -> None:
    sandbox = product.sandbox
    alias = program(sandbox, sandbox.home / "bin" / "kubectl1.33", "#!/bin/sh\n")
    search = f"{alias.parent}:{sandbox.environment.command.parent}"
    done = sandbox.run("kubectl-localize", env={"PATH": search})
    assert_fails(done, f"kubectl is not in PATH, but {alias} is", f"ln -s {alias} ")


def _may_forward(namespace: str) -> list[Manifest]:
    """A ServiceAccount that may forward what is in its namespace."""
    group = "rbac.authorization.k8s.io"
    rules = [
        {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    name = {"name": "in-a-pod"}
    role = {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": name, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": name,
        "roleRef": {"apiGroup": group, "kind": "Role", **name},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, **name}],
    }
    return [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": name}, role, binding]


@pytest.mark.sudo
def test_a_pods_credentials_do_without_a_kubeconfig(cluster: Cluster, shop: Shop, product: Product) -> None:
    sandbox = product.sandbox
    address = own(sandbox)["clusters"][0]["cluster"]
    cluster.apply(shop.namespace, *_may_forward(shop.namespace))
    token = cluster.kubectl("create", "token", "in-a-pod", f"--namespace={shop.namespace}")
    account = sandbox.root / "run" / ACCOUNT.removeprefix("/run/")
    account.mkdir(parents=True)
    (account / "token").write_text(token)
    (account / "namespace").write_text(shop.namespace)
    (account / "ca.crt").write_bytes(base64.b64decode(address["certificate-authority-data"]))
    for path in account.iterdir():
        os.chmod(path, 0o644)
    sandbox.bind(sandbox.root / "run", "/run")
    sandbox.kubeconfig.unlink()
    url = urlsplit(address["server"])
    env = {"KUBERNETES_SERVICE_HOST": url.hostname or "", "KUBERNETES_SERVICE_PORT": str(url.port)}
    assert sandbox.run("kubectl", "get", "services", env=env).returncode == 0
    done = sandbox.localize("-d", env=env)
    assert done.returncode == 0, done.stderr
    assert "context in-cluster" in done.stderr
    assert sandbox.fetch(shop.url("web", 7080)).startswith("web-")
    stopped = sandbox.localize("stop", env=env)
    assert stopped.returncode == 0, stopped.stderr
