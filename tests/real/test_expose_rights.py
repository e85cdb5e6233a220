"""What an exposure may do, and whose it is: certificate users with the role of docs/rbac.yaml, and with less."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from kubectl_localize.cluster.exposing import rights
from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.crashing import kill_everything
from tests.real.exposing import (
    DEVELOPERS,
    LOCAL,
    RBAC,
    Client,
    Expose,
    Local,
    become,
    check_nothing_left,
    cluster_address,
    expose,
    grant,
    leftovers,
    replicas,
)
from tests.real.manifests import Manifest, deployment, pod_spec, service, statefulset
from tests.real.product import Done, Product, assert_fails, warnings
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

pytestmark = pytest.mark.node  # users come by the certificates of the node's authority

Rule = dict[str, list[str]]

OPTIONAL = ("serviceaccounts", "roles", "rolebindings")  # without these it does without a failsafe of its own
COMMAND = ("secrets", "configmaps")  # of which some rights are for `-- COMMAND` only
# Whose exposure needs the rule, where that is not the Deployment's.
WORKLOADS = {
    "statefulsets": "db",
    "statefulsets/scale": "db",
    "replicasets/scale": "bare",
    "replicationcontrollers": "old",
    "replicationcontrollers/scale": "old",
}
KIND = {"web": "Deployment", "db": "StatefulSet", "bare": "ReplicaSet", "old": "ReplicationController"}


def rules() -> list[Rule]:
    """The rules of the role in docs/rbac.yaml."""
    role = next(one for one in yaml.safe_load_all(RBAC.read_text()) if one["kind"] == "Role")
    found: list[Rule] = role["rules"]
    return found


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A namespace with a Deployment and a Service `web`, where developers have the role of docs/rbac.yaml."""
    cluster.apply(namespace, deployment("web", 2), service("web"))
    grant(cluster, namespace)
    cluster.wait_ready(namespace, "deployment/web")
    return namespace


def developer(cluster: Cluster, sandbox: Sandbox, user: str, namespace: str) -> None:
    """Make the sandbox's user a developer, and wait until the API server knows what they may."""
    become(cluster, sandbox, user, namespace, DEVELOPERS)
    may = ("kubectl", "auth", "can-i", "create", "rolebindings")
    wait_until("the role", lambda: sandbox.run(*may).stdout.strip() == "yes", 20)


def check_as_before(cluster: Cluster, namespace: str) -> None:
    assert replicas(cluster, namespace, "deployment/web") == 2
    assert len(cluster.pods(namespace, "web")) == 2
    check_nothing_left(cluster, namespace)


# -- everything works with the role ------------------------------------------------------------------------------------


@pytest.mark.core
def test_the_role_is_enough(cluster: Cluster, web: str, product: Product) -> None:
    sandbox = product.sandbox
    developer(cluster, sandbox, "alice", web)
    with Local(sandbox) as local, Client(cluster, web, cluster_address(cluster, web, "web")) as client:
        done = expose(sandbox, "-d", "web", f"--map={local.port}")
        assert done.returncode == 0, done.stderr
        assert warnings(done) == []
        client.wait_settled(LOCAL)
        assert {one.split()[0] for one in leftovers(cluster, web)} == {
            "Pod", "Secret", "Lease", "ServiceAccount", "Role", "RoleBinding"
        }  # fmt: skip
        kill_everything(sandbox)
        done = sandbox.localize("restore")
        assert done.returncode == 0, done.stderr
    check_as_before(cluster, web)
    serve = ("/usr/bin/python3", "-m", "http.server", "--bind=127.0.0.1", str(local.port))
    with Expose(sandbox, "web", f"--map={local.port}", "--", *serve) as command:
        command.wait_exposed()
        assert product.items()[f"{web}/web"]["status"] == "Exposed"
        command.press_ctrl_c()
        command.wait()
        assert "error:" not in command.terminal.text
    check_as_before(cluster, web)


# -- with each rule removed --------------------------------------------------------------------------------------------


def _bare_workloads() -> list[Manifest]:
    """A ReplicaSet and a ReplicationController that nothing owns."""
    found = []
    for name, api, kind in (("bare", "apps/v1", "ReplicaSet"), ("old", "v1", "ReplicationController")):
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": pod_spec({"http": 8080})}
        selector: Any = labels if kind == "ReplicationController" else {"matchLabels": labels}
        spec = {"replicas": 1, "selector": selector, "template": template}
        found.append({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
    return found


def _named(rule: Rule) -> str:
    """A user's name for one rule: `without-pods-portforward`."""
    return f"without-{rule['resources'][0].replace('/', '-')}"


def _without(rule: Rule) -> list[Manifest]:
    """The role but for one rule, for the user whom that rule names."""
    name = _named(rule)
    api = "rbac.authorization.k8s.io"
    meta = {"name": name}
    return [
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": meta, "rules": [one for one in rules() if one != rule]},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": name},
            "subjects": [{"apiGroup": api, "kind": "User", "name": name}],
        },
    ]


def _use_all(cluster: Cluster, sandbox: Sandbox, namespace: str) -> None:
    """Give the sandbox's user a context for every rule."""
    merged: dict[str, Any] = {}
    for rule in rules():
        become(cluster, sandbox, _named(rule), namespace)
        config = json.loads(sandbox.kubeconfig.read_text())
        context = {**config["contexts"][0], "name": _named(rule)}
        merged = merged or {**config, "users": [], "contexts": []}
        context["context"]["cluster"] = merged["clusters"][0]["name"]
        merged["users"] += config["users"]
        merged["contexts"].append(context)
    sandbox.use(json.dumps({**merged, "current-context": merged["contexts"][0]["name"]}))


def _try(sandbox: Sandbox, rule: Rule) -> Done:
    """What the checks say to the user who lacks a rule."""
    resource = rule["resources"][0]
    arguments = (WORKLOADS.get(resource, "web"), "--force", "--dry-run", f"--context={_named(rule)}")
    return expose(sandbox, *arguments, *(("--", "true") if resource in COMMAND else ()))


def _lacking(rule: Rule, namespace: str) -> str:
    """The rights of a rule that the exposure needs, as the product lists them."""
    (resource,), (group,) = rule["resources"], rule["apiGroups"]
    kind = KIND[WORKLOADS.get(resource, "web")]
    needed = rights.needed(command=resource in COMMAND, failsafe=True, kinds=[kind])
    lacking = [one for one in needed if (one.group, one.of) == (group, resource)]
    assert lacking, f"docs/rbac.yaml grants {resource}, which nothing needs"
    return ", ".join(rights.describe(one, namespace) for one in lacking)


def test_the_checks_name_the_rule_that_is_missing(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    workloads = [deployment("web"), statefulset("db", 1), *_bare_workloads()]
    services = [service(name) for name in KIND]
    cluster.apply(namespace, *workloads, *services, *(one for rule in rules() for one in _without(rule)))
    _use_all(cluster, sandbox, namespace)
    for name in KIND:
        wait_until(f"pod of {name}", lambda name=name: bool(cluster.pods(namespace, name)), 60)  # type: ignore[misc]
    with ThreadPoolExecutor(3) as pool:
        warned_by = {right.resource for right in rights.WARNED_BY}
        needed = [rule for rule in rules() if warned_by.isdisjoint(rule["resources"])]
        tried = list(pool.map(lambda rule: (rule, _try(sandbox, rule)), needed))
    for rule, done in tried:
        words = re.escape(_lacking(rule, namespace))
        if rule["resources"][0] in OPTIONAL:
            assert done.returncode == 0, done.stderr
            (warning,) = [one for one in warnings(done) if "restore" in one]
            assert re.search(f"^no failsafe: you may not {words}, so if this machine", warning)
        else:
            assert_fails(done, f"^error: you may not {words}$", "docs/rbac.yaml")
    assert leftovers(cluster, namespace) == []
    figure(f"rights: each of the {len(rules())} rules of docs/rbac.yaml is named when it alone is missing")


# -- the failsafe's rights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["none", "admin", "off"])
def test_a_failsafe_of_ones_own_is_not_needed(cluster: Cluster, web: str, product: Product, how: str) -> None:
    sandbox = product.sandbox
    forbidden = _without(next(rule for rule in rules() if rule["resources"] == ["roles"]))
    cluster.apply(web, *forbidden)
    become(cluster, sandbox, "without-roles", web)
    wait_until("the role", lambda: "yes" in sandbox.run("kubectl", "auth", "can-i", "create", "pods").stdout, 20)
    options = {
        "none": ["--failsafe=5s"],
        "admin": ["--failsafe=5s", "--failsafe-service-account=kubectl-localize-failsafe"],
        "off": ["--failsafe=off"],
    }
    with Local(sandbox) as local, Client(cluster, web, cluster_address(cluster, web, "web")) as client:
        done = expose(sandbox, "-d", "web", f"--map={local.port}", *options[how])
        assert done.returncode == 0, done.stderr
        assert len(warnings(done)) == (1 if how == "none" else 0)
        assert "only `kubectl localize restore` puts everything back" in done.stderr or how != "none"
        client.wait_settled(LOCAL)
        pod = cluster.get("pod", product.items()[f"{web}/web"]["pod"], f"--namespace={web}")
        containers = {one["name"] for one in pod["spec"]["containers"]}
        assert containers == ({"sshd", "failsafe"} if how == "admin" else {"sshd"})
        assert {one.split()[0] for one in leftovers(cluster, web)} == {"Pod", "Secret", "Lease"}
        kill_everything(sandbox)
        if how == "admin":
            wait_until("replicas of the failsafe", lambda: replicas(cluster, web, "deployment/web") == 2, 40)
        else:
            assert replicas(cluster, web, "deployment/web") == 0
        done = sandbox.localize("restore")
        assert done.returncode == 0, done.stderr
    check_as_before(cluster, web)


# -- two users ---------------------------------------------------------------------------------------------------------


def test_two_users_do_not_take_each_others_service(
    cluster: Cluster, web: str, sandboxes: Callable[..., Sandbox]
) -> None:
    alice, bob = sandboxes(), sandboxes()
    developer(cluster, alice, "alice", web)
    developer(cluster, bob, "bob", web)
    whose = rf"exposed already by alice \({alice.user}@[^)]+\), since .* UTC, last seen \d+ s ago"
    with Local(alice) as hers, Local(bob) as his, Client(cluster, web, cluster_address(cluster, web, "web")) as client:
        done = expose(alice, "-d", "web", f"--map={hers.port}")
        assert done.returncode == 0, done.stderr
        client.wait_settled(LOCAL)
        before = leftovers(cluster, web)
        assert_fails(
            expose(bob, "web", f"--map={his.port}"),
            f"{web}/web is {whose}",
            "ask .*; `kubectl localize ls --cluster` tells when --take-over may end it",
        )
        assert_fails(bob.localize("expose", "--stop", "web"), "is not exposed from here")
        done = bob.localize("restore")
        assert done.returncode == 0
        assert f"left alone: {web}/web, exposed by alice (" in done.stderr
        assert leftovers(cluster, web) == before
        assert not [one for one in client.more(50) if one.body != LOCAL]

        kill_everything(alice)
        done = bob.localize("restore")
        assert f"left alone: {web}/web, exposed by alice (" in done.stderr
        assert leftovers(cluster, web) == before
        assert_fails(
            expose(bob, "web", f"--map={his.port}"),
            f"{web}/web is {whose}",
            "ask .*; `kubectl localize ls --cluster` tells when --take-over may end it",
        )
        done = alice.localize("restore")
        assert done.returncode == 0, done.stderr
    check_as_before(cluster, web)
