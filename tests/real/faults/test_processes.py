"""A process is killed, or all of them are stopped for a while: only what lived in it is cut."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.real.cluster import Cluster
from tests.real.faults.beside import both, failed_of, seconds_until_answered, start
from tests.real.faults.figures import Figures
from tests.real.product import Product


def _pids(product: Product, words: str) -> list[int]:
    """The product's own processes with these words in their command line; the bare port-forward is none of them."""
    return [
        process.pid
        for process in product.sandbox.processes()
        if words in process.command
        and "service/web" not in process.command
        and "socket.create_connection" not in process.command
    ]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("a child", "port-forward"),
        ("the transport", "proxy --unix-socket"),
        ("the guard", "be_guard"),
    ],
)
def test_a_killed_process_is_replaced(
    what: str, words: str, cluster: Cluster, namespace: str, product: Product, figures: Figures
) -> None:
    start(cluster, namespace, product)
    with both(product, namespace) as clients:
        pids = _pids(product, words)
        assert pids, product.sandbox.processes()
        os.kill(pids[0], signal.SIGKILL)
        os.kill(clients.forward.pid, signal.SIGKILL)
        killed = time.monotonic()
        clients.go_on(killed)
    ours, bare = clients.ours, clients.bare
    answered, bare_answered = seconds_until_answered(ours, killed), seconds_until_answered(bare, killed)
    figures.at_most(1, f"kill -9 of {what}, answers after", answered, bare_answered)
    failed, bare_failed = failed_of(ours, killed), failed_of(bare, killed)
    figures.at_most(0, f"kill -9 of {what}, of those that came later", len(failed), len(bare_failed), unit="failed")
    product.stop()
    figures.check(failed)


@pytest.mark.node
@pytest.mark.alone
def test_a_stopped_tree_goes_on(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    """A laptop that sleeps: the server gives its connections up meanwhile, here because it is another process."""
    start(cluster, namespace, product)
    with both(product, namespace) as clients:
        pids = [*_pids(product, "kubectl"), clients.forward.pid]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            cluster.node.restart_apiserver()
        finally:
            continued = time.monotonic()
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        clients.go_on(continued)
    ours, bare = clients.ours, clients.bare
    what = "all stopped while the server closes"
    answered, bare_answered = seconds_until_answered(ours, continued), seconds_until_answered(bare, continued)
    figures.at_most(3, f"{what}, answers after", answered, bare_answered)
    failed, bare_failed = failed_of(ours, continued), failed_of(bare, continued)
    figures.at_most(0, f"{what}, of those that came later", len(failed), len(bare_failed), unit="failed")
    product.stop()
    figures.check(failed)
