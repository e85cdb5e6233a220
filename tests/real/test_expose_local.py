"""Which local process gets a Service's traffic: of its ports perhaps one only, on ::1, and by which program."""

from __future__ import annotations

import re

import pytest

from tests.real.cluster import Cluster
from tests.real.exposing import Expose, Local, check_nothing_left, expose, replicas
from tests.real.manifests import deployment, service
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox

HTTP, METRICS = 7080, 7090

# Listens on 127.0.0.1 or ::1 (argv[1]) and the ports that follow, and answers `local`.
_SERVER = r"""
import http.server, socket, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "5"); self.end_headers()
        self.wfile.write(b"local")
    def log_message(self, *words): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
servers = [Server((sys.argv[1], int(port)), Handler) for port in sys.argv[2:]]
for server in servers[1:]: threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
"""


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A Service with a port for HTTP and one for metrics, as `ns/web`, and `ns/other` on the same pods' metrics."""
    cluster.apply(
        namespace,
        deployment("web", 2, 18080, metrics=18090),
        service("web", {HTTP: "http", METRICS: "metrics"}),
    )
    cluster.wait_ready(namespace, "deployment/web")
    return f"{namespace}/web"


def _ask(cluster: Cluster, namespace: str, port: int = HTTP) -> str:
    return cluster.kubectl("get", f"--raw=/api/v1/namespaces/{namespace}/services/web:{port}/proxy/").strip()


def test_of_two_ports_one_is_served_and_the_other_is_named(
    cluster: Cluster, namespace: str, sandbox: Sandbox, web: str
) -> None:
    """The rule in many shops: a web server that runs here without the metrics of the real one."""
    with Local(sandbox) as local, Local(sandbox) as gone:
        gone.stop()
        maps = (f"--map={local.port}:{HTTP}", f"--map={gone.port}:{METRICS}")
        with Expose(sandbox, web, *maps) as command:
            command.terminal.expect(
                rf"warning: nothing listens on 127\.0\.0\.1:{gone.port}, where port {METRICS} of {web} leads"
            )
            command.terminal.expect(rf"the traffic goes to python3 \(pid \d+\) on 127\.0\.0\.1:{local.port}")
            command.wait_exposed()
            assert _ask(cluster, namespace) == "local"
            listed = sandbox.localize("ls", web)
            assert f"nothing listens on 127.0.0.1:{gone.port}" in listed.stdout
            command.end()
    assert replicas(cluster, namespace, "deployment/web") == 2
    check_nothing_left(cluster, namespace)


def test_a_dev_server_on_the_other_loopback_address_is_found(
    cluster: Cluster, namespace: str, sandbox: Sandbox, web: str
) -> None:
    """Vite's default: `localhost` is ::1 for it, and nothing listens on 127.0.0.1."""
    program = ("--", "/usr/bin/python3", "-c", _SERVER, "::1", "18080")
    with Expose(sandbox, web, *program) as command:
        command.terminal.expect(r"the traffic goes to python3 \(pid \d+\) on \[::1\]:18080", 60)
        command.terminal.expect(r"warning: nothing listens on 127\.0\.0\.1:18090, where port")
        command.wait_exposed()
        assert re.search(rf"Exposed {web}: {HTTP} -> \[::1\]:18080", command.terminal.text)
        assert _ask(cluster, namespace) == "local"
        command.press_ctrl_c()
        assert command.wait() in (0, 130), command.terminal.text
    check_nothing_left(cluster, namespace)


def test_a_command_that_listens_elsewhere_is_told_so(
    cluster: Cluster, namespace: str, sandbox: Sandbox, web: str
) -> None:
    program = ("--", "/bin/sh", "-c", f"/usr/bin/python3 -c '{_SERVER}' 127.0.0.1 15173; true")
    with Expose(sandbox, web, *program) as command:
        command.terminal.expect(
            r"warning: the command listens on 127\.0\.0\.1:15173, and not on 127\.0\.0\.1:18080: --map 15173", 60
        )
        command.press_ctrl_c()
        command.wait()
    assert replicas(cluster, namespace, "deployment/web") == 2
    check_nothing_left(cluster, namespace)


def test_nothing_at_all_is_refused_and_what_listens_nearby_is_named(
    cluster: Cluster, namespace: str, sandbox: Sandbox, web: str
) -> None:
    with Local(sandbox, host="127.0.0.5") as local:
        done = expose(sandbox, web, f"--map={local.port}:{HTTP}", "--map=1:metrics")
        assert_fails(
            done,
            rf"nothing listens on 127\.0\.0\.1:{local.port}, where port {HTTP} of {web} would lead",
            rf"python3 \(pid \d+\) listens on 127\.0\.0\.5:{local.port}: --map 127\.0\.0\.5:{local.port}:{HTTP}",
        )
    with Local(sandbox) as local:
        said = expose(sandbox, web, f"--map={local.port}:{HTTP}", "--dry-run")
        assert said.returncode == 0, said.stderr
        assert re.search(rf"python3 \(pid \d+\) on 127\.0\.0\.1:{local.port}", said.stdout)
