"""The cluster and the sandbox themselves, without the product."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.commands import ClusterError, wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.sandbox import PASSWORD, Sandbox


def test_a_pod_answers_through_port_forward(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    cluster.apply(namespace, deployment("web", replicas=2), service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    pods = cluster.pods(namespace, "web")
    assert len(pods) == 2
    forward = sandbox.spawn("kubectl", "port-forward", "-n", namespace, f"pod/{pods[0]}", ":8080")
    assert forward.stdout is not None
    port = re.search(r":(\d+) ->", forward.stdout.readline())
    assert port is not None
    try:
        assert sandbox.fetch(f"http://127.0.0.1:{port[1]}/") == pods[0]
        assert len(sandbox.fetch(f"http://127.0.0.1:{port[1]}/bytes?n=100000")) == 100000
    finally:
        forward.terminate()
        forward.wait()
        forward.stdout.close()


@pytest.mark.node
@pytest.mark.alone
def test_a_severed_link_is_silent_until_it_is_mended(cluster: Cluster) -> None:
    cluster.node.sever()
    try:
        with pytest.raises(ClusterError):
            cluster.node.kubectl("get", "namespaces", timeout_seconds=2)
    finally:
        cluster.node.mend()
    assert "default" in cluster.node.kubectl("get", "namespaces")


@pytest.mark.node
@pytest.mark.alone
def test_the_api_server_can_be_restarted(cluster: Cluster, namespace: str) -> None:
    cluster.node.restart_apiserver()
    assert namespace in cluster.kubectl("get", "namespaces")


@pytest.mark.node
def test_a_client_certificate_has_only_its_users_rights(cluster: Cluster, namespace: str, sandbox: Sandbox) -> None:
    path = sandbox.root / "ann.kubeconfig"
    cluster.node.client_kubeconfig(path, "ann", ("developers",), context="anns")
    sandbox.use(path)
    assert "forbidden" in sandbox.run("kubectl", "get", "services").stderr
    cluster.kubectl("create", "rolebinding", "ann", "--clusterrole=view", "--group=developers", "-n", namespace)
    wait_until("Ann's rights", lambda: sandbox.run("kubectl", "get", "services", "-n", namespace).returncode == 0, 10)
    assert sandbox.kubectl("config", "current-context").strip() == "anns"


@pytest.mark.sudo
def test_the_sandboxs_user_is_nobody_on_the_machine(sandbox: Sandbox) -> None:
    machine = Path("/etc/hosts").read_bytes()
    assert sandbox.run("id", "-un").stdout.strip() == sandbox.user
    assert sandbox.resolve("mine.example") == ["127.0.0.1"]
    assert sandbox.run("sh", "-c", "echo x >> /etc/hosts").returncode != 0
    assert Path("/etc/hosts").read_bytes() == machine
    assert sandbox.run("ls", "/root").returncode != 0


def test_the_old_kubectl_is_one_of_1_31(sandbox: Sandbox, old_kubectl: Path) -> None:
    done = sandbox.run(str(old_kubectl / "kubectl"), "version", "--client")
    assert "v1.31" in done.stdout, done.stderr


@pytest.mark.sudo
def test_sudo_changes_the_sandboxs_hosts_file_only(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(tidy=False)
    machine = Path("/etc/hosts").read_bytes()
    done = sandbox.run("sudo", "-n", "sh", "-c", "echo 127.9.9.9 new.example > /etc/h && mv /etc/h /etc/hosts")
    assert done.returncode == 0, done.stderr
    assert sandbox.resolve("new.example") == ["127.9.9.9"]
    assert sandbox.hosts.read_text() == "127.9.9.9 new.example\n"
    assert Path("/etc/hosts").read_bytes() == machine


@pytest.mark.sudo
def test_sudo_refuses_or_asks_where_it_is_told_to(sandboxes: Callable[..., Sandbox]) -> None:
    assert sandboxes(sudo="none").run("sudo", "-n", "true").returncode == 1
    asked = sandboxes(sudo="password")
    assert asked.run("sudo", "-n", "true").returncode == 1
    terminal = asked.pty("sudo", "id", "-u")
    terminal.expect("assword")
    terminal.send(PASSWORD + "\n")
    terminal.expect(r"(?m)^0$")
    assert terminal.wait() == 0
    terminal.close()


def test_ctrl_c_in_a_terminal_is_a_signal(sandbox: Sandbox) -> None:
    terminal = sandbox.pty("sh", "-c", "trap 'echo caught; exit 3' INT; echo ready; while :; do sleep 0.1; done")
    terminal.expect("ready")
    terminal.send("\x03")
    terminal.expect("caught")
    assert terminal.wait() == 3
    terminal.close()


def test_what_a_test_leaves_running_is_seen(sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes()
    left = sandbox.spawn("sleep", "1000")
    wait_until("the process", lambda: any("sleep 1000" in one.command for one in sandbox.processes()), 5)
    os.killpg(left.pid, signal.SIGKILL)
    left.wait()
    assert left.stdout is not None
    left.stdout.close()
    assert sandbox.processes() == []
