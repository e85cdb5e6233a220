"""The way back as a person sees it: what happens now, what is waited for, how it ends, and how soon."""

from __future__ import annotations

import re
import time

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.exposing import Expose, Local, check_nothing_left, leftovers, replicas
from tests.real.manifests import deployment, image, service
from tests.real.product import Product, knock_as
from tests.real.traffic import Figure

STRANGER = 63999  # below the users that sandboxes have
BACK_SECONDS = 30.0  # on a machine that does other things, too; the aim is 6 s


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """The Service of two pods, as `ns/web`."""
    cluster.apply(namespace, deployment("web", 2), service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    return f"{namespace}/web"


@pytest.mark.core
def test_ctrl_c_says_what_happens_and_the_last_line_how_it_stands(
    cluster: Cluster, namespace: str, product: Product, web: str, figure: Figure
) -> None:
    with Local(product.sandbox) as local, Expose(product.sandbox, web, f"--map={local.port}") as command:
        command.wait_exposed()
        command.press_ctrl_c()
        command.terminal.expect(
            rf"putting {web} back: until the pods of Deployment web are Ready \(3 minutes at most\), and 6 s more;"
            r" Ctrl-C again leaves the rest to the supervisor",
            5,
        )
        command.terminal.expect("2 of 2 pods Ready")
        ready = time.monotonic()
        assert command.wait(BACK_SECONDS) == 0
        figure(f"way back: {time.monotonic() - ready:.1f} s after the pods are Ready (wanted: 6 s)")
        assert command.terminal.text.rstrip().endswith(f"{web} is back, 2 of 2 Ready"), command.terminal.text
    check_nothing_left(cluster, namespace)


@pytest.mark.sudo  # to become another user
def test_what_ssh_leads_to_serves_nobody_else_on_this_machine(
    cluster: Cluster, namespace: str, product: Product, web: str
) -> None:
    """The listeners for the Service's port and for the readiness probe, by the command line of our ssh."""
    sandbox = product.sandbox
    with Local(sandbox) as local, Expose(sandbox, web, "--keep", f"--map={local.port}") as command:
        command.wait_exposed()
        (argv,) = (process.command for process in sandbox.processes() if process.command.startswith("ssh "))
        ports = [int(port) for port in re.findall(r"-R \S+:\d+:127\.0\.0\.1:(\d+)", argv)]
        assert len(ports) == 2, argv
        for port in ports:
            assert knock_as(STRANGER, "127.0.0.1", port) == "ConnectionResetError"
            assert knock_as(0, "127.0.0.1", port) == "ConnectionResetError", "root is not our ssh either"
        command.press_ctrl_c()
        command.terminal.expect(rf"putting {web} back: about 6 s; Ctrl-C again leaves the rest to the supervisor", 5)
        assert command.wait(BACK_SECONDS) == 0
        assert command.terminal.text.rstrip().endswith(f"{web} is back, 2 of 2 Ready"), command.terminal.text
    check_nothing_left(cluster, namespace)


def test_a_second_ctrl_c_leaves_the_rest_to_the_supervisor(
    cluster: Cluster, namespace: str, product: Product, web: str
) -> None:
    with Local(product.sandbox) as local, Expose(product.sandbox, web, f"--map={local.port}") as command:
        command.wait_exposed()
        command.press_ctrl_c()
        command.terminal.expect("waiting for the pods of")
        command.press_ctrl_c()
        assert command.wait(10) == 130
        assert re.search(r"warning: everything is still being put back; `kubectl localize ls`", command.terminal.text)
    wait_until("way back without the command", lambda: not leftovers(cluster, namespace), 60)
    assert replicas(cluster, namespace, "deployment/web") == 2


def test_an_image_that_cannot_be_pulled_is_said_first_and_then_what_is_undone(
    cluster: Cluster, namespace: str, product: Product, web: str
) -> None:
    with Local(product.sandbox) as local:
        argv = ("expose", web, f"--map={local.port}")
        planned = product.sandbox.localize(*argv, "--dry-run")
        assert "openssh-server:" in planned.stdout, planned
        assert "(a public image; --image names another)" in planned.stdout
        done = product.sandbox.localize(*argv, "--image=localhost/nothing:1", timeout=90)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    (cause,) = (line for line in lines if line.startswith("✗"))
    assert cause.startswith("✗ localhost/nothing:1 cannot be pulled: "), done.stderr
    assert lines.index(cause) < lines.index(next(line for line in lines if "exposure pod deleted" in line))
    assert lines[-2].startswith("error: localhost/nothing:1 cannot be pulled: ")
    assert lines[-2].endswith("; everything is put back")
    assert lines[-1].startswith("hint: --image names an image in a registry")
    check_nothing_left(cluster, namespace)


def test_a_stop_from_another_terminal_ends_with_the_same_words(
    cluster: Cluster, namespace: str, product: Product, web: str
) -> None:
    with Local(product.sandbox) as local:
        begun = product.sandbox.localize("expose", "-d", "--image", image(), web, f"--map={local.port}")
        assert begun.returncode == 0, begun.stderr
        done = product.sandbox.localize("expose", "--stop", web)
    assert done.returncode == 0, done.stderr
    assert done.stderr.rstrip().splitlines()[-1] == f"{web} is back, 2 of 2 Ready"
    check_nothing_left(cluster, namespace)
