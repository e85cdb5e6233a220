"""`kubectl localize expose` with its flags: in the background, beside forwards, several, cut short, tried out."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import Expose, Local, check_nothing_left, expose, replicas
from tests.real.manifests import Manifest, deployment, pod_spec, service
from tests.real.product import Product, assert_fails, warnings

PORT = 7080  # of the Services that are forwarded, too
DETACHED_SECONDS = 90.0


def _make(cluster: Cluster, namespace: str, count: int = 1, **objects: Manifest) -> None:
    """The Deployment and the Service `web`, or other objects."""
    made = objects.values() or (deployment("web", count), service("web", {PORT: "http"}))
    cluster.apply(namespace, *made)
    workloads = [f"deployment/{one['metadata']['name']}" for one in made if one["kind"] == "Deployment"]
    cluster.wait_ready(namespace, *workloads)


def _answer(cluster: Cluster, namespace: str, name: str = "web") -> str:
    """What a Service answers to the API server."""
    return cluster.kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/services/{name}:{PORT}/proxy/").strip()


def _is_back(cluster: Cluster, namespace: str, count: int = 1) -> None:
    """Everything is as it was, at this moment."""
    assert replicas(cluster, namespace, "deployment/web") == count
    assert len(cluster.pods(namespace, "web")) == count
    check_nothing_left(cluster, namespace)


@pytest.mark.core
def test_in_the_background_it_is_listed_until_it_is_stopped(cluster: Cluster, namespace: str, product: Product) -> None:
    _make(cluster, namespace, 2)
    cluster.apply(namespace, service("too", {PORT: "http"}, "web"))
    with Local(product.sandbox) as local:
        done = expose(product.sandbox, "-d", f"{namespace}/web", "--map", str(local.port), timeout=DETACHED_SECONDS)
        assert done.returncode == 0, done.stderr
        assert f"Exposed {namespace}/web: {PORT} -> 127.0.0.1:{local.port}; " in done.stderr
        assert f"`kubectl localize expose --stop {namespace}/web` ends it" in done.stderr
        assert done.stdout == ""
        (item,) = product.document()["items"]
        (pod,) = cluster.pods(namespace, "web")
        assert re.fullmatch(
            rf"NAMESPACE +NAME +STATUS +ADDRESS +PORT\(S\) +ENDPOINT +AGE +REASON\n"
            rf"{namespace} +web +Exposed +<none> +{PORT}->127\.0\.0\.1:{local.port} +{pod} +\d+m?\d*s *\n",
            product.ls(),
        ), product.ls()
        since = item.pop("since")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", since)
        ports = [{"port": PORT, "targetPort": 8080, "local": f"127.0.0.1:{local.port}", "connections": 0}]
        assert item == {
            "kind": "Exposure",
            "context": product.document()["supervisors"][0]["context"],
            "namespace": namespace,
            "name": "web",
            "status": "Exposed",
            "reason": "",
            "pod": pod,
            "ports": ports,
            "workloads": [{"kind": "Deployment", "name": "web", "replicas": 2}],
        }
        assert _answer(cluster, namespace) == "local"

        for name, others in (("web", ""), ("too", rf" \(with {namespace}/web\)")):
            again = expose(product.sandbox, f"{namespace}/{name}", "--map", str(local.port))
            who = rf"error: {namespace}/{name} is exposed already{others} by .*{product.sandbox.user}"
            assert_fails(again, who, "expose --stop")

        stopped = expose(product.sandbox, "--stop", f"{namespace}/web")
        assert stopped.returncode == 0, stopped.stderr
        _is_back(cluster, namespace, 2)
        assert product.document()["items"] == []
        assert_fails(expose(product.sandbox, "--stop", f"{namespace}/web"), "is not exposed from here", "restore")


def test_the_services_own_local_name_leads_to_the_local_process_too(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    _make(cluster, namespace)
    (pod,) = cluster.pods(namespace, "web")
    url = f"http://web.{namespace}:{PORT}/"
    product.detach("-n", namespace)
    pid = product.pid()
    assert product.fetch_all(url) == [pod]
    with Local(product.sandbox) as local, Expose(product.sandbox, f"{namespace}/web", f"--map={local.port}") as command:
        command.wait_exposed()
        product.expect_answers(url, "local")
        address = product.sandbox.resolve(f"web.{namespace}")[0]
        assert re.search(
            rf"{namespace} +web +Exposed +{re.escape(address)} +web\S* +{PORT}->127.0.0.1:{local.port} ", product.ls()
        )
        command.end()
        _is_back(cluster, namespace)
    product.expect_answers(url, *cluster.pods(namespace, "web"))
    assert product.pid() == pid
    product.stop()


def test_several_services_of_two_namespaces_at_once(
    cluster: Cluster, namespaces: Callable[[], str], product: Product
) -> None:
    one, other = namespaces(), namespaces()
    for namespace in (one, other):
        _make(cluster, namespace)
    with Local(product.sandbox, answer="one") as local, Local(product.sandbox, answer="other") as other_local:
        maps = (f"--map={one}/web={local.port}:{PORT}", f"--map={other}/web={other_local.port}:{PORT}")
        with Expose(product.sandbox, f"{one}/web", f"{other}/web", *maps) as command:
            command.wait_exposed()
            command.terminal.expect("Exposed")
            assert [_answer(cluster, namespace) for namespace in (one, other)] == ["one", "other"]
            command.end()
    for namespace in (one, other):
        _is_back(cluster, namespace)


@pytest.mark.parametrize("seen", ["at once", "checks passed", "exposure pod .* Ready", "leads here", "scaled to zero"])
def test_ctrl_c_on_the_way_up_leaves_nothing(seen: str, cluster: Cluster, namespace: str, product: Product) -> None:
    _make(cluster, namespace, 2)
    sandbox = product.sandbox
    with Local(sandbox) as local, Expose(sandbox, f"{namespace}/web", "--map", str(local.port)) as command:
        if seen == "at once":
            wait_until("supervisor", lambda: any("supervisor" in one.command for one in sandbox.processes()), 20, 0.01)
        elif seen == "scaled to zero":
            wait_until("no replicas", lambda: replicas(cluster, namespace, "deployment/web") == 0, 40, 0.02)
        else:
            command.terminal.expect(seen, 40)
        command.press_ctrl_c()
        code = command.wait(60)
        assert code == (0 if "Exposed" in command.terminal.text else 130), command.terminal.text
        assert "error:" not in command.terminal.text
        assert "Traceback" not in command.terminal.text
        _is_back(cluster, namespace, 2)


@pytest.mark.parametrize("words", [("expose", "--stop"), ("stop",)])
def test_ended_from_another_terminal_it_ends_here_too(
    words: tuple[str, ...], cluster: Cluster, namespace: str, product: Product
) -> None:
    _make(cluster, namespace)
    service_name = f"{namespace}/web"
    with (
        Local(product.sandbox) as local,
        Expose(product.sandbox, service_name, f"--map={local.port}", "--", "sleep", "3600") as command,
    ):
        command.wait_exposed()
        names = (service_name,) if words[0] == "expose" else ()
        ended = product.sandbox.localize(*words, *names, timeout=60)
        assert ended.returncode == 0, ended.stderr
        assert command.wait(20) == 0, command.terminal.text
        why = "is not exposed any more: another command has ended it" if names else "the supervisor was stopped"
        assert why in command.terminal.text
    _is_back(cluster, namespace)
    assert product.sandbox.processes() == [], "the command and the supervisor have ended"


def test_stop_on_the_way_up_ends_it_and_it_does_not_begin_anew(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    _make(cluster, namespace)
    with (
        Local(product.sandbox) as local,
        Expose(product.sandbox, f"{namespace}/web", f"--map={local.port}") as command,
    ):
        command.terminal.expect("checks passed", 40)
        product.stop()
        assert command.wait(40) == 1, command.terminal.text
        assert "error: the supervisor was stopped while it began the exposure" in command.terminal.text
        assert command.terminal.text.count("checks passed") == 1
    _is_back(cluster, namespace)


def test_a_frozen_supervisor_is_named_and_not_waited_for(cluster: Cluster, namespace: str, product: Product) -> None:
    _make(cluster, namespace)
    with Local(product.sandbox) as local:
        done = expose(product.sandbox, "-d", f"{namespace}/web", "--map", str(local.port), timeout=DETACHED_SECONDS)
        assert done.returncode == 0, done.stderr
        pid = product.pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            for words in (("stop",), ("expose", "--stop", f"{namespace}/web")):
                assert_fails(product.sandbox.localize(*words, timeout=30), f"pid {pid} does not answer", "kill -CONT")
        finally:
            os.kill(pid, signal.SIGCONT)
        product.stop()  # what it was asked for meanwhile does no harm
    _is_back(cluster, namespace)


def test_dry_run_says_what_would_be_done_and_changes_nothing(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    _make(cluster, namespace, 2)
    before = cluster.kubectl("get", f"--namespace={namespace}", "-o=yaml", "pods,deployments,secrets,leases,roles")
    with Local(product.sandbox) as local:
        done = expose(product.sandbox, "--dry-run", f"{namespace}/web", "--map", str(local.port))
    assert done.returncode == 0, done.stderr
    assert f"scale Deployment {namespace}/web from 2 to 0, and back at the end\n" in done.stdout
    assert f"8080 -> 127.0.0.1:{local.port}" in done.stdout
    assert re.search(r"^create the journal, Lease \S+$", done.stdout, re.MULTILINE)
    after = cluster.kubectl("get", f"--namespace={namespace}", "-o=yaml", "pods,deployments,secrets,leases,roles")
    assert after == before


def _daemon_set() -> Manifest:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod_spec({"http": 8080})}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "web"}, "spec": spec}


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_with_share_the_pods_stay_and_share_the_traffic(
    kind: str, cluster: Cluster, namespace: str, product: Product
) -> None:
    workload = deployment("web") if kind == "Deployment" else _daemon_set()
    cluster.apply(namespace, workload, service("web", {PORT: "http"}))
    cluster.wait_ready(namespace, f"{kind.lower()}/web")
    before = cluster.pods(namespace, "web")
    seen: set[str] = set()

    def both() -> bool:
        seen.add(_answer(cluster, namespace))
        return seen == {"local", *before}

    with (
        Local(product.sandbox) as local,
        Expose(product.sandbox, "--share", f"{namespace}/web", "--map", str(local.port)) as command,
    ):
        command.wait_exposed()
        wait_until("answers of both", both, 30)
        assert set(before) < set(cluster.pods(namespace, "web"))
        command.end()
    assert cluster.pods(namespace, "web") == before
    check_nothing_left(cluster, namespace)


def test_force_goes_on_though_nothing_listens_and_an_autoscaler_decides(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "auto"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3},
    }
    _make(cluster, namespace, web=deployment("web"), service=service("web", {PORT: "http"}), autoscaler=autoscaler)
    with Local(product.sandbox) as local:
        port = local.port
    done = expose(product.sandbox, "-d", "--force", f"{namespace}/web", "--map", str(port), timeout=DETACHED_SECONDS)
    assert done.returncode == 0, done.stderr
    assert any("HorizontalPodAutoscaler auto scales Deployment" in one for one in warnings(done))
    silent = f"nothing listens on 127.0.0.1:{port}"
    assert any(f"{silent}, where port {PORT} of {namespace}/web leads" in one for one in warnings(done)), done.stderr
    product.wait_item(
        f"{namespace}/web", "says so", lambda item: (item["status"], item["reason"]) == ("Exposed", silent)
    )
    with Local(product.sandbox, port):
        product.wait_item(f"{namespace}/web", "listens", lambda item: not item["reason"])
        assert _answer(cluster, namespace) == "local"
    product.stop()
    _is_back(cluster, namespace)
