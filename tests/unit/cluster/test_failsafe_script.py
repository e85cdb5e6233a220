"""The failsafe's script, run by this machine's shells against a stand-in for the API server."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.selectors import put_back_patches
from tests.cluster.commands import wait_until

NOWHERE = "http://localhost:1/proven/n0nce"
SCALE = "/apis/apps/v1/namespaces/shop/deployments/cart/scale"


ORIGINAL = {"app.kubernetes.io/name": "cart", "tier": "front"}
SERVICE = "/api/v1/namespaces/shop/services/cart"


class Scales(http.server.BaseHTTPRequestHandler):
    """The scales of an API server: counts by path; a PUT with an old resourceVersion or a wrong token is refused.

    It also has Services, by path, of which the selector can be changed by a JSON patch.
    """

    counts: ClassVar[dict[str, int]]
    selectors: ClassVar[dict[str, dict[str, str]]]
    version: ClassVar[int]

    def _answer(self, code: int, body: object) -> None:
        text = json.dumps(body, separators=(",", ":")).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _scale(self, count: int) -> dict[str, Any]:
        spec = {"replicas": count} if count else {}
        meta = {"name": "cart", "resourceVersion": str(self.version)}
        status = {"replicas": count, "selector": "app=cart,tier in (a,b)"}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.headers["Authorization"] != "Bearer s3cret" or path not in self.counts:
            self._answer(404 if path not in self.counts else 403, {})
        else:
            self._answer(200, self._scale(self.counts[path]))

    def do_PUT(self) -> None:
        path, _, query = self.path.partition("?")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["metadata"]["resourceVersion"] != str(self.version):
            self._answer(409, {})
            return
        if query != "dryRun=All":
            self.counts[path] = body["spec"]["replicas"]
        self._answer(200, self._scale(body["spec"]["replicas"]))

    def do_PATCH(self) -> None:
        path, _, query = self.path.partition("?")
        operations = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/json-patch+json"
        if self.headers["Authorization"] != "Bearer s3cret" or path not in self.selectors:
            self._answer(404 if path not in self.selectors else 403, {})
            return
        selector = dict(self.selectors[path])
        for operation in operations:
            key = operation["path"].removeprefix("/spec/selector/").replace("~1", "/")
            if key not in selector or (operation["op"] == "test" and selector[key] != operation["value"]):
                self._answer(422, {})
                return
            selector[key] = operation["value"]
        if query != "dryRun=All":
            self.selectors[path] = selector
        self._answer(200, {"spec": {"selector": selector}})

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Machine:
    """Directories, an API server and a shell, in which the script believes itself in the pod."""

    def __init__(self, directory: Path, shell: list[str], server: tuple[str, int]) -> None:
        self.directory = directory
        self.shell = shell
        self.server = server
        (directory / "state").mkdir()
        (directory / "uptime").symlink_to("/proc/uptime")
        (directory / "account" / "token").write_text("s3cret")
        self.counts = {SCALE: 2}
        self.selectors = {SERVICE: dict(ORIGINAL)}
        Scales.counts, Scales.version, Scales.selectors = self.counts, 1, self.selectors

    @property
    def message(self) -> str:
        """The termination message."""
        path = self.directory / "message"
        return path.read_text() if path.exists() else ""

    def set_uptime(self, seconds: int) -> None:
        """From now on it stays at this."""
        new = self.directory / "uptime.new"
        new.write_text(f"{seconds}.00 0.00\n")
        new.replace(self.directory / "uptime")

    @contextmanager
    def start(
        self, after_seconds: int, listening: str, *targets: str, told: str = NOWHERE, way_up_seconds: int = 300
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run the script; it is killed at the end of the block."""
        script = failsafe.script().replace("/run/failsafe", str(self.directory))
        script = script.replace("/dev/termination-log", str(self.directory / "message"))
        script = script.replace("/proc/uptime", str(self.directory / "uptime"))
        environment = {
            "PATH": os.environ["PATH"],
            "KUBERNETES_SERVICE_HOST": self.server[0],
            "KUBERNETES_SERVICE_PORT": str(self.server[1]),
        }
        arguments = (str(after_seconds), str(way_up_seconds), listening, told, *targets)
        argv = [*self.shell, "-c", script, "failsafe", *arguments]
        with subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, after_seconds: int, listening: str, *targets: str, **others: Any) -> int:
        """Run the script to its end, and return its exit code; the arguments are `start`'s."""
        with self.start(after_seconds, listening, *targets, **others) as process:
            return process.wait(timeout=30)


class Session(http.server.ThreadingHTTPServer):
    """A session's listener at 127.0.0.1, which hears of the proof."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hears)
        self.heard: list[str] = []  # every request's path, at each of the script's looks until it is answered with 200
        self.code = 503  # as long as the session has not got that far

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def told(self) -> str:
        """The URL where to tell of the proof."""
        return f"http://localhost:{self.port}/proven/n0nce"


class _Hears(http.server.BaseHTTPRequestHandler):
    server: Session

    def do_GET(self) -> None:
        self.server.heard.append(self.path)
        self.send_response(self.server.code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: http.server.HTTPServer) -> Iterator[None]:
    """It answers, until the end of the block; then it listens no longer."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    with server:
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def shells() -> list[list[str]]:
    """The shells of this machine that an image may have as its sh, each once: sh is dash on Debian, bash elsewhere."""
    programs = {name: path for name in ("dash", "bash", "sh") if (path := shutil.which(name))}
    by_file = {os.path.realpath(path): [name] for name, path in programs.items()}
    return [*by_file.values(), *([["busybox", "sh"]] if shutil.which("busybox") else [])]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A stand-in for the API server at 127.0.0.1, its certificate in `account/ca.crt`."""
    account = tmp_path / "account"
    account.mkdir()
    subject = ["-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(tmp_path / "key"), "-out", str(account / "ca.crt")]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(["openssl", "req", "-x509", *curve, "-nodes", *subject, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(account / "ca.crt", tmp_path / "key")
    served = http.server.HTTPServer(("127.0.0.1", 0), Scales)
    served.socket = context.wrap_socket(served.socket, server_side=True)
    with serving(served):
        yield ("127.0.0.1", served.server_address[1])


@pytest.fixture(params=shells(), ids=" ".join)
def machine(request: pytest.FixtureRequest, tmp_path: Path, server: tuple[str, int]) -> Machine:
    """A machine, once with every shell."""
    return Machine(tmp_path, request.param, server)


NOBODY = failsafe.listens(0)


def test_the_proof_changes_nothing_and_zero_is_brought_back(machine: Machine) -> None:
    machine.counts[SCALE] = 4
    with machine.start(3600, NOBODY, f"{SCALE}=2") as process:
        wait_until("proof", (machine.directory / "state" / "proven").exists, 30)
        assert machine.counts == {SCALE: 4}
        machine.counts[SCALE] = 0
        process.terminate()  # the pod is ended, and there is no session
        assert process.wait(timeout=30) == 0
    assert machine.counts == {SCALE: 2}
    assert machine.message.startswith("fired 2")


def test_it_tells_of_the_proof_once_the_session_is_there(machine: Machine) -> None:
    session = Session()
    heard = session.heard
    listening = failsafe.listens(session.port)
    with serving(session), machine.start(3600, listening, f"{SCALE}=2", told=session.told) as process:
        wait_until("attempts", lambda: len(heard) >= 2, 30)
        assert (machine.directory / "state" / "proven").exists()
        session.code = 200
        attempts = len(heard)
        wait_until("success", lambda: len(heard) > attempts, 30)
        told_at = len(heard)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2.5)
        assert len(heard) <= told_at + 1, "it goes on telling"
    assert set(heard) == {"/proven/n0nce"}


def test_others_counts_win_and_a_workload_that_is_gone_holds_nothing_up(machine: Machine) -> None:
    (machine.directory / "state" / "proven").touch()
    gone = SCALE.replace("cart", "gone")
    last = SCALE.replace("cart", "last")
    machine.counts |= {SCALE: 5, last: 0}
    assert machine.run(0, NOBODY, f"{SCALE}=2", f"{gone}=1", f"{last}=3") == 0
    assert machine.counts == {SCALE: 5, last: 3}
    assert machine.message.startswith("fired 2")


def test_a_session_that_comes_late_is_guarded_as_well(machine: Machine) -> None:
    (machine.directory / "state" / "proven").touch()
    with machine.start(0, NOBODY, f"{SCALE}=2") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.5)  # its time is over again and again, but nothing was taken away yet
        assert machine.message == ""
        machine.counts[SCALE] = 0
        assert process.wait(timeout=30) == 0
    assert machine.counts == {SCALE: 2}
    assert machine.message.startswith("fired 2")


def test_it_does_not_wait_for_a_session_for_ever(machine: Machine) -> None:
    (machine.directory / "state" / "proven").touch()
    assert machine.run(0, NOBODY, f"{SCALE}=2", way_up_seconds=1) == 0
    assert machine.counts == {SCALE: 2}
    assert machine.message.startswith("fired 2")


def test_it_does_not_fire_while_the_session_listens(machine: Machine) -> None:
    (machine.directory / "state" / "proven").touch()
    machine.counts[SCALE] = 0
    session = socket.create_server(("127.0.0.1", 0))
    with session, machine.start(0, failsafe.listens(session.getsockname()[1]), f"{SCALE}=2") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.5)
        assert machine.counts == {SCALE: 0}
        process.terminate()
        assert process.wait(timeout=30) == 0  # the pod is ended by who has the session
    assert machine.counts == {SCALE: 0}
    assert machine.message == ""


@pytest.mark.parametrize(("silent_seconds", "count"), [(1, 0), (4, 2)])
def test_a_pod_that_is_ended_acts_only_if_the_session_was_gone_before(
    machine: Machine, silent_seconds: int, count: int
) -> None:
    """A pod that was deleted without grace loses its session too, and the supervisor makes another one."""
    (machine.directory / "state" / "proven").touch()
    machine.counts[SCALE] = 0
    machine.set_uptime(100)
    session = Session()
    with machine.start(3600, failsafe.listens(session.port), f"{SCALE}=2", told=session.told) as process:
        with serving(session):
            wait_until("look", lambda: session.heard != [], 30)
        machine.set_uptime(100 + silent_seconds)
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert machine.counts == {SCALE: count}


def test_the_time_counts_from_the_sessions_end(machine: Machine) -> None:
    (machine.directory / "state" / "proven").touch()
    machine.counts[SCALE] = 0
    machine.set_uptime(100)
    session = Session()
    with machine.start(3, failsafe.listens(session.port), f"{SCALE}=2", told=session.told) as process:
        with serving(session):
            wait_until("look", lambda: session.heard != [], 30)
            machine.set_uptime(200)
            looks = len(session.heard)
            wait_until("looks", lambda: len(session.heard) >= looks + 2, 30)  # the first may have read the clock before
        machine.set_uptime(202)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.5)
        machine.set_uptime(203)
        assert process.wait(timeout=30) == 0
    assert machine.counts == {SCALE: 2}


def test_without_rights_it_ends_and_says_why_but_never_its_token_and_tells_of_no_proof(machine: Machine) -> None:
    (machine.directory / "account" / "token").write_text("wr0ng")
    with socket.create_server(("127.0.0.1", 0)) as session:
        session.settimeout(0)
        port = session.getsockname()[1]
        told = f"http://localhost:{port}/proven/n0nce"
        assert machine.run(3600, failsafe.listens(port), f"{SCALE}=2", told=told) == 1
        with pytest.raises(BlockingIOError):
            session.accept()
    assert machine.message.startswith(f"{SCALE}: curl: (22)")
    assert "403" in machine.message
    assert "wr0ng" not in machine.message


def test_having_fired_it_sleeps_and_says_it_again(machine: Machine) -> None:
    (machine.directory / "state" / "fired").write_text("fired 2026-01-31T12:00:00Z\n")
    machine.counts[SCALE] = 0
    with machine.start(0, NOBODY, f"{SCALE}=2") as process:
        wait_until("message", lambda: machine.message != "", 30)
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert machine.counts == {SCALE: 0}
    assert machine.message == "fired 2026-01-31T12:00:00Z\n"


# -- switched Services -------------------------------------------------------------------------------------------------
OURS = dict.fromkeys(ORIGINAL, "localize-abc12")


def service_targets(path: str = SERVICE) -> list[str]:
    """What the script is told of a switched Service."""
    return [f"{path}={json.dumps(patch)}" for patch in put_back_patches(ORIGINAL, "abc12")]


def test_the_proof_switches_nothing_and_what_is_switched_is_put_back(machine: Machine) -> None:
    with machine.start(3600, NOBODY, *service_targets()) as process:
        wait_until("proof", (machine.directory / "state" / "proven").exists, 30)
        assert machine.selectors == {SERVICE: ORIGINAL}
        machine.selectors[SERVICE] = OURS
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert machine.selectors == {SERVICE: ORIGINAL}
    assert machine.message.startswith("fired 2")


@pytest.mark.parametrize(
    ("there", "left"),
    [
        ({"app": "other"}, {"app": "other"}),
        ({**OURS, "tier": "back"}, {**ORIGINAL, "tier": "back"}),
        ({**OURS, "hash": "5d8f"}, {**ORIGINAL, "hash": "5d8f"}),
    ],
)
def test_what_others_have_selected_meanwhile_stays(
    machine: Machine, there: dict[str, str], left: dict[str, str]
) -> None:
    (machine.directory / "state" / "proven").touch()
    machine.selectors[SERVICE] = there
    gone = SERVICE.replace("cart", "gone")
    assert machine.run(0, NOBODY, *service_targets(gone), *service_targets(), way_up_seconds=0) == 0
    assert machine.selectors == {SERVICE: left}
    assert machine.message.startswith("fired 2")


def test_without_the_right_to_patch_there_is_no_proof(machine: Machine) -> None:
    (machine.directory / "account" / "token").write_text("wr0ng")
    assert machine.run(3600, NOBODY, *service_targets()) == 1
    assert "403" in machine.message
