"""A way back that cannot be walked for now: the exposure goes on serving, says why, and ends when it can."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.crashing import REPLICAS, wait_tidy
from tests.real.exposing import (
    DEVELOPERS,
    LOCAL,
    Client,
    Expose,
    Local,
    become,
    cluster_address,
    expose,
    failed,
    grant,
    leftovers,
    replicas,
)
from tests.real.manifests import Manifest, deployment, service
from tests.real.product import Done, Item, Product
from tests.real.sandbox import Sandbox

pytestmark = pytest.mark.xdist_group("clients")  # one busy client at a time, see test_expose.py

RBAC = "rbac.authorization.k8s.io"
ACCOUNT = "developer"


def account() -> list[Manifest]:
    """A ServiceAccount that may do everything in its namespace."""
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "admin"}
    subjects = [{"kind": "ServiceAccount", "name": ACCOUNT}]
    binding = {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": ACCOUNT}}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}},
        {**binding, "roleRef": role, "subjects": subjects},
    ]


def log_in(cluster: Cluster, sandbox: Sandbox, namespace: str) -> None:
    """Give the sandbox's user a token of the account, which is made if it is not there."""
    cluster.apply(namespace, *account())
    token = cluster.kubectl("create", "token", ACCOUNT, f"--namespace={namespace}").strip()
    config = json.loads(sandbox.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    config["contexts"][0]["context"]["namespace"] = namespace
    sandbox.use(json.dumps(config))
    may = ("kubectl", "auth", "can-i", "create", "rolebindings")
    wait_until("the account's rights", lambda: sandbox.run(*may).stdout.strip() == "yes", 20)


def expire(cluster: Cluster, sandbox: Sandbox, namespace: str) -> None:
    """Have the API server accept the user's token no more."""
    cluster.kubectl("delete", "serviceaccount", ACCOUNT, f"--namespace={namespace}")
    ask = ("kubectl", "get", "pods")
    wait_until("refused token", lambda: "Unauthorized" in sandbox.run(*ask).stderr, 30)


def revoke(cluster: Cluster, sandbox: Sandbox, namespace: str) -> None:
    """Take the developers' role away."""
    cluster.kubectl("delete", "rolebinding", "kubectl-localize-expose", f"--namespace={namespace}")
    may = ("kubectl", "auth", "can-i", "update", "deployments/scale")
    wait_until("fewer rights", lambda: sandbox.run(*may).stdout.strip() == "no", 20)


def item(product: Product, key: str) -> Item:
    return product.items()[key]


def check_refused(done: Done, message: str, hint: str) -> None:
    assert done.returncode == 1, done.stderr
    assert message in done.stderr
    assert hint in done.stderr
    assert "it is tried again until it is done" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A Service with two pods, which end without a gap, as `ns/web`."""
    cluster.apply(namespace, deployment("web", REPLICAS, pre_stop_seconds=3), service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    return f"{namespace}/web"


@pytest.fixture
def client(cluster: Cluster, namespace: str, web: str) -> Iterator[Client]:
    """Asks it all the time."""
    with Client(cluster, namespace, cluster_address(cluster, namespace, "web")) as asking:
        yield asking


def test_credentials_that_have_expired_end_no_service(
    cluster: Cluster, namespace: str, product: Product, web: str, client: Client
) -> None:
    sandbox = product.sandbox
    log_in(cluster, sandbox, namespace)
    with Local(sandbox) as local:
        done = expose(sandbox, "-d", web, f"--map={local.port}")
        assert done.returncode == 0, done.stderr
        exposed = client.wait_settled(LOCAL)
        expire(cluster, sandbox, namespace)

        check_refused(sandbox.localize("expose", "--stop", web), "could not be brought back", "log in to the cluster")
        assert replicas(cluster, namespace, "deployment/web") == 0
        assert {one.body for one in client.more(50)} == {LOCAL}
        shown = item(product, web)
        assert shown["status"] == "Restoring"
        assert "could not be brought back" in shown["reason"]

        check_refused(sandbox.localize("expose", "--stop", web), "could not be brought back", "log in to the cluster")
        check_refused(sandbox.localize("stop"), "could not be brought back", "log in to the cluster")
        assert {one.body for one in client.more(50)} == {LOCAL}
        done = expose(sandbox, "-d", web, f"--map={local.port}")
        assert done.returncode == 1
        assert "is ending, and" in done.stderr

        log_in(cluster, sandbox, namespace)
        wait_until("workload", lambda: replicas(cluster, namespace, "deployment/web") == REPLICAS, 60)
        wait_tidy(cluster, sandbox, namespace)
    assert failed(client.attempts(exposed)) == []
    wait_until("end of the supervisor", lambda: product.document()["supervisors"] == [], 30)


@pytest.mark.node
def test_rights_that_were_taken_away_end_no_service(
    cluster: Cluster, namespace: str, product: Product, web: str, client: Client
) -> None:
    sandbox = product.sandbox
    grant(cluster, namespace)
    become(cluster, sandbox, "alice", namespace, DEVELOPERS)
    may = ("kubectl", "auth", "can-i", "create", "rolebindings")
    wait_until("the role", lambda: sandbox.run(*may).stdout.strip() == "yes", 20)
    with Local(sandbox) as local:
        done = expose(sandbox, "-d", web, f"--map={local.port}")
        assert done.returncode == 0, done.stderr
        exposed = client.wait_settled(LOCAL)
        revoke(cluster, sandbox, namespace)
        by_hand = f"kubectl scale -n {namespace} deployment/web"
        check_refused(sandbox.localize("stop"), "could not be brought back", by_hand)
        check_refused(sandbox.localize("restore"), "could not be brought back", by_hand)
        assert item(product, web)["status"] == "Restoring"
        assert {one.body for one in client.more(50)} == {LOCAL}
        grant(cluster, namespace)
        wait_until("workload", lambda: replicas(cluster, namespace, "deployment/web") == REPLICAS, 60)
        wait_tidy(cluster, sandbox, namespace)
    assert failed(client.attempts(exposed)) == []


def test_a_kubeconfig_that_is_gone_keeps_nobody_from_ending_it(
    cluster: Cluster, namespace: str, product: Product, web: str
) -> None:
    sandbox = product.sandbox
    with Local(sandbox) as local:
        for end in (("expose", "--stop", web), ("stop",)):
            done = expose(sandbox, "-d", web, f"--map={local.port}")
            assert done.returncode == 0, done.stderr
            config = sandbox.kubeconfig.read_text()
            sandbox.kubeconfig.unlink()
            done = sandbox.localize(*end)
            assert done.returncode == 0, done.stderr
            assert replicas(cluster, namespace, "deployment/web") == REPLICAS
            assert not [one for one in leftovers(cluster, namespace) if one.startswith(("Pod", "Lease"))]
            sandbox.use(config)


@pytest.mark.node
def test_ctrl_c_leaves_what_cannot_be_brought_back_to_the_supervisor(
    cluster: Cluster, namespace: str, product: Product, web: str
) -> None:
    sandbox = product.sandbox
    grant(cluster, namespace)
    become(cluster, sandbox, "alice", namespace, DEVELOPERS)
    may = ("kubectl", "auth", "can-i", "create", "rolebindings")
    wait_until("the role", lambda: sandbox.run(*may).stdout.strip() == "yes", 20)
    with Local(sandbox) as local, Expose(sandbox, web, f"--map={local.port}") as command:
        command.wait_exposed()
        revoke(cluster, sandbox, namespace)
        command.press_ctrl_c()
        assert command.wait() == 1
        assert "could not be brought back" in command.terminal.text
        assert "it is tried again until it is done, and it is served from here until then" in command.terminal.text
        assert item(product, web)["status"] == "Restoring"
        assert replicas(cluster, namespace, "deployment/web") == 0
        grant(cluster, namespace)
        wait_tidy(cluster, sandbox, namespace)
    wait_until("end of the supervisor", lambda: product.document()["supervisors"] == [], 30)
