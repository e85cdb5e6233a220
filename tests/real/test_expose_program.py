"""`expose … -- COMMAND`: when it starts, what it finds in its environment, and what its end means."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import Any

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import Expose, check_nothing_left, expose, leftovers, replicas
from tests.real.manifests import Manifest, deployment, service
from tests.real.product import Product
from tests.real.sandbox import Sandbox

PORT = 7080
ANSWER_SECONDS = 90

# Listens once the file in argv[2] is there, answers with its environment, says which signal it got, and ends with 7
# when it is told to.
_PROGRAM = r"""
import http.server, json, os, pathlib, signal, sys, time
port, gate = int(sys.argv[1]), pathlib.Path(sys.argv[2])
def end(number, _):
    os.write(1, b"got %s\n" % signal.Signals(number).name.encode())
    os._exit(3)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
pathlib.Path("started").touch()
while not gate.exists(): time.sleep(0.05)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
        if self.path == "/end":
            self.wfile.flush(); os._exit(7)
    def log_message(self, *words): pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def _environment() -> list[Manifest]:
    """A ConfigMap and a Secret, and a Deployment whose container takes its environment from everywhere."""
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "green"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"token": "s3cret"}}
    web = deployment("web", 2)
    container: dict[str, Any] = web["spec"]["template"]["spec"]["containers"][0]
    container["env"] += [
        {"name": "PLAIN", "value": "as it stands"},
        {"name": "BUILT", "value": "$(PLAIN), and more"},
        {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}}},
        {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "HOME", "value": "/nowhere"},
        {"name": "JAVA_HOME", "value": "/opt/java"},
        {"name": "PYTHONPATH", "value": "/nowhere"},
        {"name": "BASH_ENV", "value": "/nowhere"},
        {"name": "BASH_FUNC_ls%%", "value": "() { echo taken over; }"},
        {"name": "PERL5OPT", "value": "-MNothing"},
        {"name": "SPARE_A", "value": "a"},
        {"name": "SPARE_B", "value": "b"},
    ]
    container["envFrom"] = [{"prefix": "ALL_", "configMapRef": {"name": "settings"}}]
    return [config, secret, web, service("web", {PORT: "http"})]


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """The Service of two such pods, as `ns/web`."""
    cluster.apply(namespace, *_environment())
    cluster.wait_ready(namespace, "deployment/web")
    return f"{namespace}/web"


@pytest.fixture
def port() -> int:
    """A free local port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _program(sandbox: Sandbox, port: int) -> tuple[str, ...]:
    """The command line; it listens from `_open` on."""
    return ("--", "/usr/bin/python3", "-c", _PROGRAM, str(port), str(sandbox.home / "gate"))


def _open(sandbox: Sandbox) -> None:
    (sandbox.home / "gate").touch()


def _ask(cluster: Cluster, namespace: str, path: str = "/") -> str:
    """What the Service answers to the API server, which waits for it."""
    raw = f"--raw=/api/v1/namespaces/{namespace}/services/web:{PORT}/proxy{path}"
    return cluster.kubectl("get", raw, timeout_seconds=ANSWER_SECONDS).strip()


def _is_back(cluster: Cluster, namespace: str) -> None:
    assert replicas(cluster, namespace, "deployment/web") == 2
    assert len(cluster.pods(namespace, "web")) == 2
    check_nothing_left(cluster, namespace)


def test_it_has_the_environment_and_gets_the_traffic_once_it_listens(
    cluster: Cluster, namespace: str, product: Product, web: str, port: int
) -> None:
    sandbox = product.sandbox
    with Expose(sandbox, web, f"--map={port}", *_program(sandbox, port)) as command:
        wait_until("start of the command", (sandbox.home / "started").exists, 30)
        wait_until("exposure pod", lambda: any(one.startswith("Pod ") for one in leftovers(cluster, namespace)), 30)
        assert replicas(cluster, namespace, "deployment/web") == 2, "nothing listens yet"
        assert _ask(cluster, namespace).startswith("web-")
        command.terminal.expect(rf"waiting for the command to listen on 127\.0\.0\.1:{port}\n", 30)
        _open(sandbox)
        command.wait_exposed()
        found = json.loads(_ask(cluster, namespace))
        wanted = {"PLAIN": "as it stands", "BUILT": "as it stands, and more", "COLOR": "green", "TOKEN": "s3cret"}
        wanted |= {"WHERE": namespace, "ALL_color": "green", "HOME": str(sandbox.home)}
        assert {name: found.get(name) for name in wanted} == wanted
        assert found["POD_NAME"].startswith("web-")
        said = [command.terminal.text, *(path.read_text() for path in sandbox.home.glob(".kube/localize/*/*.log*"))]
        assert not any("s3cret" in text for text in said)
        assert all("s3cret" not in one.command for one in sandbox.processes())
        command.press_ctrl_c()
        command.terminal.expect("got SIGINT")
        command.terminal.expect(r"waiting for the pods of Deployment \S+/web: \d of 2 Ready\r")
        command.terminal.expect(r"the exposure pod localize-web-\w+ is ending\r✓ exposure pod deleted")
        assert command.wait() == 3
        assert "error:" not in command.terminal.text, command.terminal.text
    _is_back(cluster, namespace)


def test_what_describes_or_runs_in_the_container_stays_there_unless_it_is_named(
    cluster: Cluster, namespace: str, product: Product, web: str, port: int
) -> None:
    """A function in a Deployment's environment has run in `-- bash -c ls`, and Python has not started."""
    flags = ("--env=BASH_ENV", "--env=SPARE_B", "--env=SPARE_C", "--env-exclude=SPARE_*")
    program = ("--", "/bin/bash", "-c", "ls -d / && /usr/bin/python3 -c 'import os; print(sorted(os.environ))'")
    with Expose(product.sandbox, web, f"--map={port}", *flags, *program) as command:
        command.terminal.expect(
            r"warning: not taken from the container: HOME \(.*\); JAVA_HOME \(describe the container.*\);"
            r" BASH_FUNC_ls%%, PERL5OPT, PYTHONPATH \(run code .*\); --env NAME takes one all the same",
            60,
        )
        command.terminal.expect("warning: --env SPARE_C: container http has no such variable")
        command.terminal.expect(r"(?s)\n/\r?\n.*'BASH_ENV'.*'PLAIN'.*'SPARE_B'")
        assert command.wait() == 0, command.terminal.text
        assert "'SPARE_A'" not in command.terminal.text
        assert "'JAVA_HOME'" not in command.terminal.text
        assert "taken over" not in command.terminal.text
    _is_back(cluster, namespace)


def test_it_may_take_longer_to_listen_than_the_failsafe_waits_for_a_session(
    cluster: Cluster, namespace: str, product: Product, web: str, port: int
) -> None:
    sandbox = product.sandbox
    with Expose(sandbox, web, f"--map={port}", "--failsafe=3s", *_program(sandbox, port)) as command:
        command.terminal.expect(rf"waiting for the command to listen on 127\.0\.0\.1:{port}\n", 60)
        time.sleep(6)  # the time itself is what matters: its proof takes a second, then it waits for three
        _open(sandbox)
        command.wait_exposed()
        assert json.loads(_ask(cluster, namespace))["PLAIN"] == "as it stands"
        command.press_ctrl_c()
        assert command.wait() == 3
        assert "error:" not in command.terminal.text, command.terminal.text
    _is_back(cluster, namespace)


def test_its_end_ends_the_exposure_and_who_connects_meanwhile_waits_for_a_pod(
    cluster: Cluster, namespace: str, product: Product, web: str, port: int
) -> None:
    sandbox = product.sandbox
    _open(sandbox)
    with Expose(sandbox, web, f"--map={port}", *_program(sandbox, port)) as command:
        command.wait_exposed()
        _ask(cluster, namespace, "/end")
        command.terminal.expect("has ended with exit code 7")
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(_ask(cluster, namespace)))
        asking.start()
        assert command.wait() == 7
        asking.join()
    assert answers[0] in cluster.pods(namespace, "web")
    assert "error:" not in command.terminal.text, command.terminal.text
    _is_back(cluster, namespace)


def test_it_is_not_started_where_a_check_fails_and_a_command_that_is_none_is_said(
    namespace: str, cluster: Cluster, product: Product, web: str, port: int
) -> None:
    sandbox = product.sandbox
    done = expose(sandbox, f"{namespace}/other", f"--map={port}", *_program(sandbox, port))
    assert done.returncode == 1
    assert f"error: there is no Service other in namespace {namespace}" in done.stderr
    assert not (sandbox.home / "started").exists()
    done = expose(sandbox, web, f"--map={port}", "--", "no-such-command")
    assert done.returncode == 1
    assert "error: no-such-command: command not found" in done.stderr
    _is_back(cluster, namespace)
