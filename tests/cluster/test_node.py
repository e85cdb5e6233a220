"""The node from end to end: what it can do, and that it leaves the machine as it was."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.cluster import processes
from tests.cluster.commands import ClusterError, wait_until, without_proxy_for
from tests.cluster.machine import Machine
from tests.cluster.node import Node
from tests.cluster.paths import NODES, Cache
from tests.cluster.prepare import Preparation
from tests.cluster.processes import Process
from tests.environment import Environment
from tests.real.manifests import as_list, deployment, service

pytestmark = [pytest.mark.alone, pytest.mark.node]

NAME = "selftest"
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # past a proxy of the environment


def _look() -> Machine:
    """The machine without what other nodes, other checkouts and the test runner itself have on it."""
    others = tuple(entry.name for entry in NODES.iterdir()) if NODES.exists() else ()
    marks = (f"/localize-node/{name}" for name in others)
    groups = (f"/localize-{name}" for name in others)
    links = (f"lz-{name}" for name in others)
    runs = ("/tmp/localize-uid-", "/var/tmp/localize-env-", "/var/tmp/lz-")
    return Machine.look(NAME, (*marks, *groups, *links, *runs))


@pytest.fixture
def node() -> Iterator[Node]:
    """A node that is not up yet, and is down again after the test."""
    cache = Cache.default()
    Preparation(cache).all()
    Environment.of_checkout().make()  # for its kubectl
    node = Node(NAME, cache)
    node.down()
    yield node
    node.down()


def _exec(node: Node, *argv: str) -> str:
    return node.kubectl("exec", "deploy/web", "--", *argv)


def _get(node: Node, url: str) -> str:
    """What a URL answers inside the pod."""
    code = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=5).read().decode())"
    return _exec(node, "python3", "-c", code, url).strip()


def _answers(node: Node, url: str) -> bool:
    try:
        return bool(_get(node, url))
    except ClusterError:
        return False


def _forwarded(node: Node) -> str:
    """What the Deployment answers through the machine's own kubectl port-forward."""
    command = [
        str(Environment.of_checkout().kubectl),
        f"--kubeconfig={node.kubeconfig}",
        "port-forward",
        "deploy/web",
        ":8080",
    ]
    environment = {**os.environ, **without_proxy_for(node.ip)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        port = re.search(r":(\d+) ->", forward.stdout.readline())
        assert port is not None
        try:
            with OPENER.open(f"http://127.0.0.1:{port[1]}/", timeout=10) as answer:
                return str(answer.read().decode())
        finally:
            forward.terminate()


def test_the_node_works_and_leaves_no_trace(node: Node) -> None:
    before = _look()
    home = Path.home() / ".kube"
    kube_before = sorted(home.rglob("*")) if home.exists() else None

    node.up()
    assert node.up() == node.kubeconfig  # once more changes nothing
    node.kubectl("apply", "-f", "-", stdin=as_list(deployment("web", replicas=2), service("web")))
    node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    pods = node.kubectl("get", "pods", "-o=name").replace("pod/", "").split()
    address = node.kubectl("get", "service", "web", "-o=jsonpath={.spec.clusterIP}")

    assert _forwarded(node) in pods
    assert _exec(node, "cat", "/etc/hostname").strip() in pods
    # The first look at a new Service may come before kube-proxy's: it syncs once a second.
    wait_until("answer from the Service", lambda: _answers(node, f"http://{address}/"), 10)
    assert _get(node, "http://web.default.svc.cluster.local/") in pods
    assert {_get(node, "http://web/") for _ in range(20)} == set(pods)  # also back to the pod that asks
    _exec(node, "sh", "-c", "echo written > /proc/1/fd/1")
    assert "written" in node.kubectl("logs", "--selector=app=web")

    node.down()
    assert _look().changes_since(before) == []
    assert (sorted(home.rglob("*")) if home.exists() else None) == kube_before


def test_what_a_killed_run_left_is_taken_over(node: Node) -> None:
    before = _look()
    node.up()
    record = node.record
    assert record is not None
    holder = Process(record.pid, record.started)
    # As if the run had been killed before it could write down which process it had started.
    (node.state / "node.json").write_text(json.dumps({**asdict(record), "pid": 0, "started": 0}))
    with pytest.raises(ClusterError):
        _ = node.init
    node.up()
    assert not holder.alive
    assert node.is_up
    node.down()
    assert _look().changes_since(before) == []


def test_a_killed_holder_takes_the_node_along(node: Node) -> None:
    node.up()
    record = node.record
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    wait_until("end of the link", lambda: not Path(f"/sys/class/net/{node.veth}").exists(), 20)
    assert not node.is_up


def test_a_strangers_process_with_a_recorded_number_lives_on() -> None:
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        now = Process.of(stranger.pid)
        assert now is not None
        recorded = Process(now.pid, now.started - 1)
        assert not recorded.alive
        recorded.send(signal.SIGKILL)
        # A process has no command line for a moment while it executes its program.
        wait_until("command line of sleep", lambda: now in processes.running(["sleep", "1000"]), 10)
        now.send(signal.SIGKILL)
        assert stranger.wait(10) == -signal.SIGKILL
    finally:
        stranger.kill()
        stranger.wait()
