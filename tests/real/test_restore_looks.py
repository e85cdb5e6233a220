"""A `restore` that could not look everywhere says where, and fails; it never says that there is nothing."""

from __future__ import annotations

import json

import pytest

from tests.real.cluster import Cluster
from tests.real.crashing import kill_everything, open_port, open_web, restore, wait_tidy
from tests.real.exposing import become, expose, replicas
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox

OTHER = "Other One"


def test_what_a_crash_left_in_another_context_is_named(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    web = open_web(cluster, namespace)
    config = json.loads(sandbox.kubectl("config", "view", "-o", "json"))
    first = config["contexts"][0]
    words = (f"--cluster={first['context']['cluster']}", f"--user={first['context']['user']}")
    sandbox.kubectl("config", "set-context", OTHER, *words)
    with open_port() as port:
        done = expose(sandbox, "-d", web, f"--map={port}", "--context", OTHER)
        assert done.returncode == 0, done.stderr
        kill_everything(sandbox)
    assert web in sandbox.localize("ls").stderr
    done = sandbox.localize("restore")
    assert done.returncode == 1, done.stderr
    assert f"what a crashed run left in context {OTHER} was not looked for" in done.stderr
    assert f"`kubectl localize restore --context {OTHER}`" in done.stderr
    assert "nothing to undo" not in done.stderr
    assert replicas(cluster, namespace, "deployment/web") == 0
    assert f"undoing the exposure of {web}" in restore(sandbox, "--context", OTHER).stderr
    assert "nothing to undo" in restore(sandbox).stderr
    wait_tidy(cluster, sandbox, namespace)


@pytest.mark.node
def test_without_any_right_nothing_is_not_found(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    become(cluster, sandbox, "nobody", namespace)
    done = sandbox.localize("restore")
    assert_fails(done, "you may not list Leases in any namespace", "-n names a namespace in which you may")
    done = sandbox.localize("restore", "-n", "default")
    assert_fails(done, "you may not list Leases in namespace default, so", "kubectl get leases -n default")


@pytest.mark.node
def test_a_certificate_that_is_not_accepted_has_a_hint(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    config = json.loads(sandbox.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    user = config["users"][0]["user"]
    user["client-key-data"] = user["client-certificate-data"]
    sandbox.use(json.dumps(config))
    assert_fails(sandbox.localize("restore"), "context .* cannot be used: tls: ", "`kubectl config view`")
