"""What a person or a clean-up kills or removes while it runs: the guard, and the directory with all state."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from tests.cluster.commands import wait_until
from tests.real.cluster import Cluster
from tests.real.crashing import REPLICAS, kill_everything, open_web, wait_tidy
from tests.real.exposing import Local, expose, replicas
from tests.real.product import Product
from tests.real.sandbox import Sandbox


def guards(sandbox: Sandbox) -> list[int]:
    """The guards that run."""
    return [process.pid for process in sandbox.processes() if "be_guard" in process.command]


def exposed(product: Product, key: str) -> bool:
    """Whether `ls` shows it without a complaint."""
    item = product.items().get(key, {})
    return bool(item) and item["status"] == "Exposed" and not item["reason"]


@pytest.mark.core
def test_a_guard_that_was_killed_is_replaced(cluster: Cluster, namespace: str, product: Product) -> None:
    sandbox = product.sandbox
    web = open_web(cluster, namespace)
    with Local(sandbox) as local:
        done = expose(sandbox, "-d", web, f"--map={local.port}")
        assert done.returncode == 0, done.stderr
        (guard,) = guards(sandbox)
        os.kill(guard, signal.SIGKILL)
        wait_until("another guard", lambda: guards(sandbox) not in ([], [guard]), 20)
        os.kill(product.pid(), signal.SIGKILL)
        wait_until(
            "end of all children", lambda: not [one for one in sandbox.processes() if "kubectl" in one.command], 20
        )
        local.stop()
        kill_everything(sandbox)
    assert sandbox.localize("restore").returncode == 0
    wait_tidy(cluster, sandbox, namespace)


def test_a_state_directory_that_was_removed_is_made_anew(cluster: Cluster, namespace: str, product: Product) -> None:
    sandbox = product.sandbox
    web = open_web(cluster, namespace)
    with Local(sandbox) as local:
        done = expose(sandbox, "-d", web, f"--map={local.port}")
        assert done.returncode == 0, done.stderr
        pid = product.pid()
        shutil.rmtree(sandbox.home / ".kube" / "localize")
        removed = time.monotonic()
        wait_until("the exposure in ls", lambda: exposed(product, web), 20)
        assert time.monotonic() - removed < 20
        assert product.pid() == pid

        for process in sandbox.processes():  # a new one needs the keys
            if process.command.startswith("ssh -F none"):
                os.kill(process.pid, signal.SIGKILL)
        wait_until("ssh", lambda: any(one.command.startswith("ssh -F none") for one in sandbox.processes()), 20)
        wait_until("the exposure in ls", lambda: exposed(product, web), 30)
        product.stop()
        assert replicas(cluster, namespace, "deployment/web") == REPLICAS
    wait_tidy(cluster, sandbox, namespace)
    assert product.document()["supervisors"] == []
