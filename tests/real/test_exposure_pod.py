"""The exposure pod on a real cluster: who gets in, what may pass, and what its failsafe does."""

from __future__ import annotations

import http.server
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.host import ssh
from tests.cluster.commands import ClusterError, wait_until
from tests.real.cluster import Cluster
from tests.real.exposure_pod import ALIAS, ExposurePod, open_exposure_pod, plan_for, restricted, with_failsafe
from tests.real.manifests import Manifest, deployment, service
from tests.real.traffic import Figure

pytestmark = pytest.mark.node  # its image has sshd and curl

# The arguments of every process in the container, at a moment when one of them is curl (and not just in a script).
CATCH_CURL = r"""
while :; do
  all=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' ' ')
  case $all in *"-X GET"" https:"*) echo "$all"; exit ;; esac
done
"""


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"local")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def local_port() -> Iterator[int]:
    """The port of a local process that answers `local`."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def shop(cluster: Cluster, namespace: str) -> str:
    """A namespace that enforces `restricted`, with a Deployment and a Service called web."""
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    cluster.apply(namespace, restricted(deployment("web")), service("web"))
    return namespace


def scale(cluster: Cluster, namespace: str, replicas: int, name: str = "web") -> None:
    cluster.kubectl("scale", f"deployment/{name}", f"--namespace={namespace}", f"--replicas={replicas}")


def replicas(cluster: Cluster, namespace: str, name: str = "web") -> int:
    return int(cluster.get("deployment", name, f"--namespace={namespace}")["spec"]["replicas"])


def has_proven(pod: ExposurePod) -> bool:
    """Whether the failsafe has noted that its dry run succeeded."""
    return "proven" in pod.inside("failsafe", "ls", failsafe.STATE_DIRECTORY)


def state(pod: dict[str, Any]) -> dict[str, Any]:
    """What the failsafe's container does: `running`, `waiting` or `terminated`."""
    statuses = pod["status"]["containerStatuses"]
    return next(one["state"] for one in statuses if one["name"] == "failsafe")


def answer(cluster: Cluster, namespace: str) -> str:
    """What the Service answers at its ClusterIP; empty where nothing does."""
    address = cluster.get("service", "web", f"--namespace={namespace}")["spec"]["clusterIP"]
    try:
        return cluster.node.inside("curl", "-s", "--max-time", "2", f"http://{address}/")
    except ClusterError:
        return ""


def no_group(manifest: Manifest) -> None:
    """As OpenShift's admission leaves it: a uid that no image knows, and the group 0."""
    del manifest["spec"]["securityContext"]["runAsGroup"]


def test_the_service_answers_from_here(
    cluster: Cluster, shop: str, local_port: int, tmp_path: Path, figure: Figure
) -> None:
    plan = plan_for(cluster, shop, "web", (8080, ("http",), local_port), (80, (), local_port))
    with open_exposure_pod(cluster, plan, tmp_path / "keys") as pod:
        began = time.monotonic()
        pod.create(1000620000, no_group)
        runs = time.monotonic() - began
        pod.connect(pod.port())
        pod.wait_ready()
        figure(f"exposure pod: runs after {runs:.1f} s, Ready after {time.monotonic() - began:.1f} s")
        scale(cluster, shop, 0)
        wait_until("answer of the local process", lambda: answer(cluster, shop) == "local", 30)
        assert pod.inside("sshd", "id", "-u").strip() == "1000620000"
        assert pod.inside("sshd", "id", "-g").strip() == "0"


def test_only_this_session_gets_in_and_only_its_ports_pass(
    cluster: Cluster, shop: str, local_port: int, tmp_path: Path
) -> None:
    plan = plan_for(cluster, shop, "web", (8080, ("http",), local_port))
    with open_exposure_pod(cluster, plan, tmp_path / "keys") as pod:
        pod.create()
        port = pod.port()
        ssh.make_key(pod.directory, "stranger")
        said = pod.refused(pod.argv(port, identity="stranger"))
        assert ssh.explain(said.splitlines()) == "the exposure pod does not accept the session's key", said
        said = pod.refused(pod.argv(port, (8081, "127.0.0.1", local_port)))
        assert ssh.explain(said.splitlines()) == "remote port 8081 is still taken", said
        argv = [word for word in pod.argv(port) if word != "-N"]
        assert "open failed" in pod.refused([*argv, "id"])
        # -W is what -L and -D come down to: a connection that begins in the pod.
        address = cluster.get("service", "web", f"--namespace={shop}")["spec"]["clusterIP"]
        assert "open failed" in pod.refused([*argv[:-1], "-W", f"{address}:80", argv[-1]])
        ssh.make_key(pod.directory, "impostor")
        key = (pod.directory / "impostor.pub").read_text()
        (pod.directory / "known_hosts").write_text(ssh.known_hosts_line(ALIAS, key))
        assert ssh.explain(pod.refused(pod.argv(port)).splitlines()) == "the host key does not match"


def test_the_failsafe_brings_the_workloads_back_but_overrules_nobody(
    cluster: Cluster, shop: str, local_port: int, tmp_path: Path, figure: Figure
) -> None:
    cluster.apply(shop, restricted(deployment("other")))
    plan = plan_for(cluster, shop, "web", (8080, ("http",), local_port))
    other = replace(plan.workloads[0].ref, name="other")
    plan = with_failsafe(plan, 3, (plan.workloads[0].ref, 2), (other, 1))
    with open_exposure_pod(cluster, plan, tmp_path / "keys") as pod:
        pod.create()
        wait_until("proof", lambda: has_proven(pod), 30)
        time.sleep(4)  # a session that comes after the failsafe's time, as when a command is slow to listen
        pod.connect(pod.port())
        pod.wait_ready()
        assert replicas(cluster, shop) == 1, "the proof has changed something"
        scale(cluster, shop, 0)
        scale(cluster, shop, 3, "other")
        began = time.monotonic()
        pod.cut()
        wait_until("replicas of the failsafe", lambda: replicas(cluster, shop) == 2, 30)
        figure(f"failsafe of 3 s: scaled up {time.monotonic() - began:.1f} s after the last process here was killed")
        assert replicas(cluster, shop, "other") == 3
        wait_until("message of the failsafe", lambda: failsafe.fired(pod.get()) != "", 30)
        scale(cluster, shop, 0)
        wait_until("restart of its container", lambda: "running" in state(pod.get()), 30)
        assert failsafe.fired(pod.get()).startswith("fired 2")
        assert failsafe.problem(pod.get()) == ""
        assert "sleep" in pod.inside("failsafe", "ps")  # it has nothing left to do
        assert replicas(cluster, shop) == 0


def test_a_pod_that_is_ended_while_the_session_is_gone_brings_the_workload_back(
    cluster: Cluster, shop: str, local_port: int, tmp_path: Path
) -> None:
    plan = plan_for(cluster, shop, "web", (8080, ("http",), local_port))
    with open_exposure_pod(cluster, with_failsafe(plan, 3600), tmp_path / "keys") as pod:
        pod.create()
        wait_until("proof", lambda: has_proven(pod), 30)
        scale(cluster, shop, 0)
        cluster.kubectl("delete", "pod", pod.name, f"--namespace={shop}", "--wait=false")
        wait_until("replicas of the failsafe", lambda: replicas(cluster, shop) == 1, 30)


def test_a_failsafe_without_rights_says_so_and_shows_its_token_to_nobody(
    cluster: Cluster, shop: str, local_port: int, tmp_path: Path
) -> None:
    plan = with_failsafe(plan_for(cluster, shop, "web", (8080, ("http",), local_port)), 5)
    assert plan.failsafe is not None
    plan = replace(plan, failsafe=replace(plan.failsafe, own=False))  # so nobody gives it rights
    with open_exposure_pod(cluster, plan, tmp_path / "keys") as pod:
        cluster.kubectl("create", "serviceaccount", failsafe.account_name(plan.session), f"--namespace={shop}")
        pod.create()
        caught = pod.inside("failsafe", "sh", "-c", CATCH_CURL)
        token = pod.inside("failsafe", "cat", f"{failsafe.ACCOUNT_DIRECTORY}/token")
        assert not has_proven(pod)
        assert "-X GET https:" in caught
        assert token not in caught
        wait_until("reason", lambda: "error: 403" in failsafe.problem(pod.get()), 30)
        assert token not in str(pod.get())
        with pytest.raises(subprocess.CalledProcessError):  # the token is in no other container
            pod.inside("sshd", "ls", "/var/run/secrets/kubernetes.io")
