"""`kubectl localize` in the foreground: in a real terminal, and where there is none."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.manifests import deployment, service
from tests.real.product import Product
from tests.real.shop import Shop
from tests.real.terminal import CONTROL_SEQUENCE


@pytest.mark.core
def test_from_progress_to_ctrl_c(cluster: Cluster, namespace: str, product: Product) -> None:
    sandbox = product.sandbox
    before = sandbox.hosts.read_bytes()
    cluster.apply(namespace, deployment("web"), service("web", {7080: "http"}))
    cluster.wait_ready(namespace, "deployment/web")
    (pod,) = cluster.pods(namespace, "web")
    terminal = sandbox.pty("kubectl", "localize", "-n", namespace, columns=200)
    try:
        terminal.expect("listing Services")
        terminal.expect("NAMESPACE +NAME +STATUS +ADDRESS")
        terminal.expect(rf"{namespace} +web +Idle +127\.\S+ +web\S* +7080->http +{pod}")
        terminal.expect(r"try: curl http://web\S*:7080/")
        terminal.expect("Ctrl-C ends it")
        assert "\x1b[2K" in terminal.raw, "progress is rewritten in place"
        assert product.fetch_all(f"http://web.{namespace}:7080/") == [pod]

        cluster.kubectl("delete", "pod", pod, f"--namespace={namespace}", "--wait=false")
        terminal.expect(rf"{namespace}/web: pod {pod} is gone", seconds=30)
        cluster.apply(namespace, service("new", {7080: "http"}))
        terminal.expect(rf"{namespace}/new: a new Service")
        terminal.send("\x03")
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert "Traceback" not in terminal.text
    assert sandbox.hosts.read_bytes() == before
    assert sandbox.processes() == []


def test_it_ends_while_connections_are_open(shop: Shop, product: Product) -> None:
    """A download in progress does not hold up Ctrl-C."""
    terminal = product.sandbox.pty("kubectl", "localize", "-n", shop.namespace, "web")
    try:
        terminal.expect("Ctrl-C ends it")
        url = shop.url("web", 7080, "/drip?n=1000")
        fetching = product.sandbox.spawn(
            "/usr/bin/python3", "-c", f"import urllib.request as u; u.urlopen({url!r}).read()"
        )
        product.wait_item(f"{shop.namespace}/web", "in use", lambda item: item["ports"][0]["connections"] == 1)
        terminal.send("\x03")
        terminal.expect(r"\^C\n")
        assert terminal.wait() == 0
        assert "^Ccleaning up" not in terminal.text
        assert fetching.wait(10) != 0
        assert fetching.stdout is not None
        assert re.search("ConnectionReset|IncompleteRead", fetching.stdout.read())
        fetching.stdout.close()
    finally:
        terminal.close()


def test_a_closed_window_ends_it(shop: Shop, product: Product) -> None:
    before = product.sandbox.hosts.read_bytes()
    terminal = product.sandbox.pty("kubectl", "localize", "-n", shop.namespace, "web")
    terminal.expect("Ctrl-C ends it")
    terminal.close()
    wait_until("end of everything", lambda: product.sandbox.processes() == [], 10)
    assert product.sandbox.hosts.read_bytes() == before


def test_ctrl_c_twice_is_as_good_as_once(shop: Shop, product: Product) -> None:
    terminal = product.sandbox.pty("kubectl", "localize", "-n", shop.namespace, "web")
    try:
        terminal.expect("Ctrl-C ends it")
        terminal.send("\x03\x03\x03")
        assert terminal.wait() in (0, 130)
    finally:
        terminal.close()
    assert "Traceback" not in terminal.text
    wait_until("end of everything", lambda: product.sandbox.processes() == [], 10)


def test_without_a_terminal_there_are_plain_lines(shop: Shop, product: Product) -> None:
    # Without --foreground timeout sends the signal twice, to the process and to its group. If the second one comes a
    # moment later, it means that somebody does not want to wait for the end.
    limit = ("timeout", "--foreground", "-s", "INT", "4")
    process = product.sandbox.spawn(*limit, "kubectl", "localize", "-n", shop.namespace)
    said, _ = process.communicate(timeout=60)
    assert not CONTROL_SEQUENCE.search(said)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said), repr(said)
    lines = said.splitlines()
    assert lines[0] == "listing Services"
    assert "Ctrl-C ends it" in lines
    assert any(re.match(rf"{shop.namespace} +web +Idle ", line) for line in lines)
    assert process.returncode == 124, "timeout's own code: it had to end it"
    assert product.sandbox.processes() == []


def test_no_colour_where_none_is_wanted(shop: Shop, product: Product) -> None:
    def shown(*flags: str, env: dict[str, str] | None = None) -> str:
        terminal = product.sandbox.pty("kubectl", "localize", "ls", *flags, env=env)
        assert terminal.wait() == 0
        terminal.close()
        return terminal.raw

    product.detach("-n", shop.namespace)
    assert "\x1b[33mWaiting" in shown()
    assert "\x1b" not in shown("--no-color")
    assert "\x1b" not in shown(env={"NO_COLOR": "1"})
    assert "\x1b" not in shown(env={"TERM": "dumb"})
    product.stop()


def test_ctrl_c_while_the_cluster_says_nothing(product: Product) -> None:
    """Something accepts connections at the API server's address, and never answers."""
    sandbox = product.sandbox
    before = sandbox.hosts.read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = json.loads(sandbox.kubectl("config", "view", "--raw", "-o", "json"))
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{silent.getsockname()[1]}"
        sandbox.use(json.dumps(config))
        terminal = sandbox.pty("kubectl", "localize")
        try:
            terminal.expect("listing Services", seconds=60)  # some kubectls ask the server for their own version, too
            terminal.send("\x03")
            assert terminal.wait() == 130
        finally:
            terminal.close()
    wait_until("end of everything", lambda: sandbox.processes() == [], 5)
    assert sandbox.hosts.read_bytes() == before
