"""Ports below 1024 as an ordinary user: with sudo, without, and with one that refuses."""

from __future__ import annotations

import errno
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product, warnings
from tests.real.sandbox import PASSWORD, Sandbox

pytestmark = pytest.mark.sudo

# Not 80 and 443, which would be moved to 8080 and 8443: a program of the developer's may have those on all addresses.
LOW, MOVED = (85, 447), (8085, 8447)
HIGH = 7080
BIND = """
import socket, sys
try: socket.socket().bind((sys.argv[1], int(sys.argv[2])))
except OSError as error: print(error.errno)
else: print(0)
"""


@pytest.fixture(scope="module")
def low(cluster: Cluster) -> Iterator[str]:
    """A namespace whose Service `web` has the ports LOW and HIGH."""
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= LOW[0]:
        pytest.skip(f"every user of this machine may bind port {LOW[0]} (net.ipv4.ip_unprivileged_port_start)")
    name = f"t-low-{uuid.uuid4().hex[:8]}"
    cluster.make_namespace(name)
    try:
        cluster.apply(name, deployment("web"), service("web", dict.fromkeys((*LOW, HIGH), "http")))
        cluster.wait_ready(name, "deployment/web")
        cluster.wait_endpoints(name, "web")
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


def _own_bind(sandbox: Sandbox, address: str, port: int) -> int:
    """The error number of the user's own attempt to bind a port; 0 for none."""
    return int(sandbox.python(BIND, address, str(port)))


def _helpers(sandbox: Sandbox) -> list[str]:
    return [process.command for process in sandbox.processes() if "helper.py" in process.command]


def _local_ports(product: Product, namespace: str) -> list[int]:
    return [port["localPort"] for port in product.items()[f"{namespace}/web"]["ports"]]


@pytest.mark.core
def test_sudo_binds_what_the_user_may_not(low: str, product: Product) -> None:
    sandbox = product.sandbox
    done = product.detach("-n", low)
    assert warnings(done) == []
    asked = f"asking sudo for the right to write names to /etc/hosts and to bind ports {LOW[0]}, {LOW[1]}"
    assert asked in done.stderr
    wait_until("pod among the endpoints", lambda: bool(product.items()[f"{low}/web"]["endpoints"]))
    item = product.items()[f"{low}/web"]
    assert _own_bind(sandbox, "127.99.99.99", LOW[0]) == errno.EACCES
    assert _local_ports(product, low) == [*LOW, HIGH]
    answers = product.fetch_all(*(f"http://web.{low}:{port}/" for port in (*LOW, HIGH)))
    assert answers == [item["endpoints"][0]] * 3
    assert len(_helpers(sandbox)) == 1
    owners = {
        Path(f"/proc/{process.pid}").stat().st_uid
        for process in sandbox.processes()
        if "helper.py" not in process.command
    }
    assert owners == {sandbox.uid}, "only the helper may be root's"
    product.stop()
    assert _helpers(sandbox) == []


def test_a_low_port_that_comes_later_is_bound_without_asking_again(
    low: str, cluster: Cluster, namespace: str, product: Product
) -> None:
    cluster.apply(namespace, service("first", {LOW[0]: 8080}))
    product.detach("-n", namespace)
    cluster.apply(namespace, service("second", {LOW[1]: 8080}))
    product.wait_item(f"{namespace}/second", "at its own port", lambda item: item["ports"][0]["localPort"] == LOW[1])
    product.stop()


@pytest.mark.parametrize("flags", [(), ("--no-sudo",)], ids=["refused", "no-sudo"])
def test_without_sudo_ports_are_moved_up_and_what_is_missing_is_said(
    low: str, sandboxes: Callable[..., Sandbox], flags: tuple[str, ...]
) -> None:
    sandbox = sandboxes(sudo="nopasswd" if flags else "none")
    product = Product(sandbox)
    before = sandbox.hosts.read_bytes()
    done = product.detach("-n", low, *flags)
    (warning,) = warnings(done)  # one fact is told once
    missing = "names do not resolve, as /etc/hosts cannot be written; ports below 1024 are moved up, such as "
    assert warning.startswith(f"{missing}{low}/web {LOW[0]} -> {MOVED[0]} (2 in all)")
    assert warning.endswith(": sudo was refused; it cannot ask for a password without a terminal") == (not flags)
    assert ("asking sudo" in done.stderr) == (not flags)

    item = product.items()[f"{low}/web"]
    http, https, high = _local_ports(product, low)
    assert (http, https, high) == (*MOVED, HIGH)
    assert item["ports"][0]["reason"] == f"port {LOW[0]} needs sudo, so it is {MOVED[0]} here"
    urls = [f"http://{item['address']}:{port}/" for port in (http, https, high)]
    assert product.fetch_all(*urls) == [item["endpoints"][0]] * 3
    (supervisor,) = product.document()["supervisors"]
    assert supervisor["hosts"] == "denied"
    listed = sandbox.localize("ls")
    assert f"warning: {missing}" in listed.stderr
    assert "; start again where sudo can ask for your password\n" in listed.stderr
    assert "needs sudo" not in listed.stdout
    assert sandbox.hosts.read_bytes() == before
    product.stop()


def test_a_password_is_asked_for_on_the_terminal(low: str, sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(sudo="password")
    before = sandbox.hosts.read_bytes()
    product = Product(sandbox)
    terminal = sandbox.pty("kubectl", "localize", "-n", low)
    try:
        terminal.expect("asking sudo for the right to")
        terminal.expect(f"kubectl localize asks for {sandbox.user}'s password")
        terminal.send(PASSWORD + "\n")
        terminal.expect("Ctrl-C ends it")
        assert f"below 1024: {PASSWORD}" not in terminal.text
        assert product.fetch_all(f"http://web.{low}:{LOW[0]}/")[0].startswith("web-")
        terminal.send("\x03")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    wait_until("end of the helper", lambda: _helpers(sandbox) == [], 5)
    assert sandbox.hosts.read_bytes() == before


def test_a_wrong_password_goes_on_without(low: str, sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(sudo="password")
    terminal = sandbox.pty("kubectl", "localize", "-n", low)
    try:
        for _ in range(3):
            terminal.expect("password, to write names")
            terminal.send("wrong\n")
        terminal.expect("sudo was refused", seconds=30)
        terminal.expect("Ctrl-C ends it")
        terminal.send("\x03")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_a_background_job_says_that_it_cannot_ask(low: str, sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(sudo="password")
    terminal = sandbox.pty("bash", "--norc", "-i")
    try:
        terminal.send(f"kubectl localize -n {low} &\n")
        terminal.expect("sudo was refused; it cannot ask for a password in the background: .* with -d")
        terminal.expect("Ctrl-C ends it")
        terminal.send("jobs\n")
        terminal.expect(r"Running +kubectl localize")
        assert "\x1b[2K" not in terminal.raw.partition("jobs")[0]
        terminal.send("kubectl localize stop; wait; exit\n")
        assert terminal.wait() == 0
    finally:
        terminal.close()


def test_ctrl_c_at_the_password_prompt_leaves_nothing(low: str, sandboxes: Callable[..., Sandbox]) -> None:
    sandbox = sandboxes(sudo="password")
    before = sandbox.hosts.read_bytes()
    terminal = sandbox.pty("kubectl", "localize", "-n", low)
    try:
        terminal.expect("password, to write names")
        terminal.send("\x03")
        assert terminal.wait() == 130
        assert "Traceback" not in terminal.text
    finally:
        terminal.close()
    wait_until("end of everything", lambda: sandbox.processes() == [], 5)
    assert sandbox.hosts.read_bytes() == before
    assert Product(sandbox).document()["supervisors"] == []


def test_the_next_foreground_asks_again_and_makes_good(low: str, sandboxes: Callable[..., Sandbox]) -> None:
    """The terminal is what a password needs: a command without one was refused, the one with it is not."""
    sandbox = sandboxes(sudo="password")
    product = Product(sandbox)
    done = product.detach("-n", low)
    assert "sudo was refused; it cannot ask for a password without a terminal" in done.stderr
    assert _local_ports(product, low) == [*MOVED, HIGH]
    terminal = sandbox.pty("kubectl", "localize", "-n", low)
    try:
        terminal.expect("password, to write names")
        terminal.send(PASSWORD + "\n")
        terminal.expect("Ctrl-C ends it")
        product.wait_item(f"{low}/web", "at its own port", lambda item: item["ports"][0]["localPort"] == LOW[0])
        assert product.fetch_all(f"http://web.{low}:{LOW[0]}/")[0].startswith("web-")
        terminal.send("\x03")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert _local_ports(product, low) == [*LOW, HIGH]
    product.stop()
