"""Many clients, and bad ones: nobody else loses anything, and the supervisor is as before when they are gone."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.cluster.commands import ClusterError, wait_until
from tests.real.bare import bare_forward
from tests.real.cluster import Cluster
from tests.real.faults.beside import PORT, start
from tests.real.faults.clients import ABORT, ASK, HALF_CLOSE, NEVER_READ
from tests.real.faults.figures import Figures
from tests.real.faults.weight import descriptors, megabytes
from tests.real.product import Product
from tests.real.sandbox import Sandbox
from tests.real.traffic import Traffic

MORE_DESCRIPTORS = 3
MORE_MEGABYTES = 4.0
ENOUGH = 60  # answers of the good client while a bad one does its worst


@contextmanager
def _as_before(product: Product, namespace: str, figures: Figures, what: str) -> Iterator[None]:
    """After the block the supervisor gets half a minute to give back what it took."""
    assert product.fetch_all(*[f"http://web.{namespace}:{PORT}/"] * 200)
    pid = product.pid()
    before, weighed = descriptors(pid), megabytes(pid)
    yield
    assert product.pid() == pid
    with suppress(ClusterError):  # the row says it
        wait_until("descriptors as before", lambda: descriptors(pid) <= before + MORE_DESCRIPTORS, 30)
    figures.at_most(MORE_DESCRIPTORS, f"{what}, then descriptors", descriptors(pid) - before, unit="more")
    figures.at_most(MORE_MEGABYTES, f"{what}, then memory", round(megabytes(pid) - weighed, 1), unit="MB more")


def _lost(sandbox: Sandbox, program: str, host: str, port: int, *words: str) -> int:
    """What a program of clients says at its end."""
    return int(sandbox.python(program, host, str(port), *words, timeout=400).split()[0])


@pytest.mark.alone
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("count", "at_once"), [(2_000, 2_000), (20_000, 4)])
def test_none_of_many_connections_is_lost(
    count: int, at_once: int, cluster: Cluster, namespace: str, product: Product, figures: Figures
) -> None:
    start(cluster, namespace, product)
    what = f"{count} connections, {at_once} at once"
    words = (str(count), str(at_once))
    # Python keeps the memory of the first burst, in parts that are mostly free; those after it may take no more.
    ours = _lost(product.sandbox, ASK, f"web.{namespace}", PORT, str(at_once), str(at_once))
    with _as_before(product, namespace, figures, what):
        ours += _lost(product.sandbox, ASK, f"web.{namespace}", PORT, *words)
        with bare_forward(product.sandbox, namespace, PORT) as forward:
            bare = _lost(product.sandbox, ASK, "127.0.0.1", forward.port, *words)
    figures.at_most(0, what, ours, bare, unit="lost")
    product.stop()
    figures.check()


def test_aborted_downloads(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    start(cluster, namespace, product)
    with _as_before(product, namespace, figures, "200 aborted downloads"):
        ours = _others_lost(product.sandbox, ABORT, f"web.{namespace}", PORT, 200)
        with bare_forward(product.sandbox, namespace, PORT) as forward:
            bare = _others_lost(product.sandbox, ABORT, "127.0.0.1", forward.port, 200)
    figures.at_most(0, "200 aborted downloads, of the others", ours, bare, unit="lost")
    product.stop()
    figures.check()


def _others_lost(sandbox: Sandbox, program: str, host: str, port: int, count: int) -> int:
    """How many of a good client's connections fail while bad ones run to their end."""
    with Traffic(sandbox, host, port, patience_seconds=20) as traffic:
        _lost(sandbox, program, host, port, str(count))
        begun = len(traffic.attempts)
        wait_until("more attempts", lambda: len(traffic.attempts) >= begun + ENOUGH, 60)
    return len(traffic.failed)


def test_clients_that_never_read(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    start(cluster, namespace, product)
    with _as_before(product, namespace, figures, "50 that never read"):
        ours = _lost_beside_never_reading(product.sandbox, f"web.{namespace}", PORT)
        with bare_forward(product.sandbox, namespace, PORT) as forward:
            bare = _lost_beside_never_reading(product.sandbox, "127.0.0.1", forward.port)
    figures.at_most(0, "50 that never read, of the others", ours, bare, unit="lost")
    product.stop()
    figures.check()


def _lost_beside_never_reading(sandbox: Sandbox, host: str, port: int) -> int:
    """The same while 50 clients do not read what they have asked for."""
    argv = sandbox.argv("/usr/bin/python3", "-c", NEVER_READ, host, str(port), "50")
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as bad,
        Traffic(sandbox, host, port, patience_seconds=10) as traffic,
    ):
        assert bad.stdin is not None
        assert bad.stdout is not None
        assert "all wait" in bad.stdout.readline()
        begun = len(traffic.attempts)
        wait_until("more attempts", lambda: len(traffic.attempts) >= begun + ENOUGH, 60)
        bad.stdin.close()
    return len(traffic.failed)


def test_half_closed_connections(cluster: Cluster, namespace: str, product: Product, figures: Figures) -> None:
    start(cluster, namespace, product)
    with _as_before(product, namespace, figures, "50 half-closed"):
        ours = _lost(product.sandbox, HALF_CLOSE, f"web.{namespace}", PORT, "50")
        with bare_forward(product.sandbox, namespace, PORT) as forward:
            bare = _lost(product.sandbox, HALF_CLOSE, "127.0.0.1", forward.port, "50")
    figures.at_most(0, "50 half-closed", ours, bare, unit="lost")
    product.stop()
    figures.check()
