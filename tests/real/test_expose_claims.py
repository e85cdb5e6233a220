"""Colleagues: who exposes what, seen by others, and taking over from one whose machine is gone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.crashing import journal_of, kill_everything, open_port, open_web, wait_tidy
from tests.real.exposing import DEVELOPERS, OURS, become, expose, grant, leftovers, replicas
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox

pytestmark = pytest.mark.node  # users come by the certificates of the node's authority


def developer(cluster: Cluster, sandbox: Sandbox, user: str, namespace: str) -> None:
    """Make the sandbox's user a developer, and wait until the API server knows what they may."""
    become(cluster, sandbox, user, namespace, DEVELOPERS)
    may = ("kubectl", "auth", "can-i", "create", "rolebindings")
    wait_until("the role", lambda: sandbox.run(*may).stdout.strip() == "yes", 20)


def claims(sandbox: Sandbox) -> list[dict[str, Any]]:
    """What `ls --cluster` says."""
    done = sandbox.localize("ls", "--cluster", "-o", "json")
    assert done.returncode == 0, done.stderr
    items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
    return items


def events(cluster: Cluster, namespace: str) -> str:
    """What `kubectl describe` says of the Service."""
    return cluster.kubectl("describe", "service", "web", f"--namespace={namespace}").partition("Events:")[2]


def make_silent(cluster: Cluster, namespace: str, minutes: int) -> None:
    """Have the journal look as if nobody had renewed it for so long; the API server's own note of it is removed."""
    lease = journal_of(cluster, namespace)
    seen = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    patch = {"metadata": {"managedFields": [{}]}, "spec": {"renewTime": seen}}
    name = lease["metadata"]["name"]
    cluster.kubectl("patch", "lease", name, f"--namespace={namespace}", "--type=merge", "-p", json.dumps(patch))


def test_who_exposes_a_service_is_seen_by_all_and_taken_over_when_they_are_gone(
    cluster: Cluster, namespace: str, sandboxes: Callable[..., Sandbox]
) -> None:
    web = open_web(cluster, namespace)
    grant(cluster, namespace)
    alice, bob = sandboxes(), sandboxes()
    developer(cluster, alice, "alice", namespace)
    developer(cluster, bob, "bob", namespace)
    assert claims(bob) == []
    with open_port() as port:
        done = expose(alice, "-d", "web", f"--map={port}")
        assert done.returncode == 0, done.stderr
        wait_until("Event", lambda: "exposed by alice" in events(cluster, namespace), 20)
        assert f"`kubectl localize expose --stop {web}` there ends it" in events(cluster, namespace)

        (claim,) = claims(bob)
        assert claim["services"] == [web]
        assert claim["owner"].startswith("alice (")
        assert (claim["workloads"], claim["failsafe"], claim["here"]) == (["Deployment/web (2)"], "armed", False)
        assert (claim["takeOver"], claims(alice)[0]["here"]) == (False, True)
        shown = bob.localize("ls", "--cluster")
        assert "no: last seen" in shown.stdout
        assert f"only {namespace} was looked at" in shown.stderr

        # as long as she answers, whatever the clocks say
        taking = ("web", f"--map={port}", "--take-over")
        assert_fails(expose(bob, *taking), "cannot be taken over from alice .*: last seen", "ls --cluster")
        make_silent(cluster, namespace, 11)
        assert_fails(expose(bob, *taking), "cannot be taken over from alice .*is Ready", "ls --cluster")

        kill_everything(alice)
        make_silent(cluster, namespace, 11)
        wait_until("silence", lambda: bool(claims(bob)[0]["takeOver"]), 60)
        assert_fails(expose(bob, "web", f"--map={port}"), "is exposed already by alice", "--take-over ends its")
        done = expose(bob, *taking, "--dry-run")
        assert (done.returncode, "Deployment" in done.stdout) == (0, True), done.stderr
        done = expose(bob, *taking, "-d")
        assert done.returncode == 0, done.stderr
        assert f"taking {web} over from alice" in done.stderr
        assert replicas(cluster, namespace, "deployment/web") == 0
        assert [claim["owner"].partition(" ")[0] for claim in claims(alice)] == ["bob"]

        done = alice.localize("restore")
        assert done.returncode == 0, done.stderr
        assert replicas(cluster, namespace, "deployment/web") == 0
        done = bob.localize("expose", "--stop", "web")
        assert done.returncode == 0, done.stderr
    wait_tidy(cluster, alice, namespace)
    wait_tidy(cluster, bob, namespace)
    assert "does not go to" in events(cluster, namespace)
    assert leftovers(cluster, namespace) == [], OURS
