"""`restore`: what it undoes and forgets, and what it cannot know and therefore keeps and names."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.commands.restore import restore
from kubectl_localize.cli.terminal import Console
from kubectl_localize.cluster.exposing.journal import Entry, Owner
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.identity import here
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from tests.unit.fakes.cluster import APPS, Cluster
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import OWNER, entry, write, write_unreadable

CART = f"{APPS}/deployments/cart"


def gone() -> Owner:
    """A process of ours that is not there any more."""
    us = here()
    return replace(OWNER, machine=us.machine, uid=us.uid, pid=2**22 + 1, pid_namespace=us.pid_namespace)


def exposed(directory: Path, one: Entry) -> Cluster:
    """A cluster where it is exposed, and our record of it."""
    cluster = Cluster()
    cluster.workload("cart", 0)
    write(cluster, one)
    asyncio.run(_ledger(directory).add("abc12", "shop"))
    (directory / "ssh-abc12").write_text("key")
    return cluster


def run(cluster: Cluster, directory: Path, *, dry_run: bool = False) -> tuple[list[LocalizeError], bool, str]:
    """What failed, whether there was anything, and what was said."""
    said = io.StringIO()
    args = Arguments(dry_run=dry_run)
    failures, there = asyncio.run(restore(cluster.api, RunPaths(directory), args, Console(said), cluster.clock))
    return failures, there, said.getvalue()


def _ledger(directory: Path) -> SessionLedger:
    files = RunPaths(directory)
    return SessionLedger(files.exposures, files.exposures_lock)


def recorded(directory: Path) -> dict[str, str]:
    return _ledger(directory).sessions()


def test_what_is_dead_is_undone_and_forgotten(tmp_path: Path) -> None:
    cluster = exposed(tmp_path, entry(owner=gone()))
    failures, there, said = run(cluster, tmp_path)
    assert (failures, there, cluster.replicas(CART)) == ([], True, 2)
    assert "undoing the exposure of shop/cart" in said
    assert list(tmp_path.iterdir()) == []
    assert run(cluster, tmp_path)[:2] == ([], False)


@pytest.mark.parametrize("dry_run", [False, True])
def test_where_it_may_not_look_it_keeps_the_record_and_says_so(tmp_path: Path, dry_run: bool) -> None:
    cluster = exposed(tmp_path, entry(owner=gone()))
    cluster.fails = lambda now, method, path: FORBIDDEN if "leases" in path else ""
    (failure,), there, _ = run(cluster, tmp_path, dry_run=dry_run)
    assert there
    assert "the exposure abc12 in namespace shop may still be there: you may not list Leases" in failure.message
    assert recorded(tmp_path) == {"abc12": "shop"}
    assert (tmp_path / "ssh-abc12").exists()


def test_what_it_cannot_read_is_not_gone_either(tmp_path: Path) -> None:
    cluster = exposed(tmp_path, entry(owner=gone()))
    write_unreadable(cluster, entry())
    (failure,), there, _ = run(cluster, tmp_path)
    assert there
    assert "this version cannot read its journal" in failure.message
    assert recorded(tmp_path) == {"abc12": "shop"}


def test_one_that_could_not_be_undone_does_not_keep_the_others_on_record(tmp_path: Path) -> None:
    cluster = exposed(tmp_path, entry(owner=gone()))
    asyncio.run(_ledger(tmp_path).add("never", "shop"))
    cluster.fails = lambda now, method, path: FORBIDDEN if "scale" in path else ""
    (failure,), _, _ = run(cluster, tmp_path)
    assert "could not be brought back" in failure.message
    assert recorded(tmp_path) == {"abc12": "shop"}


def test_one_from_before_a_restart_is_kept_and_named_until_it_was_silent_for_long_enough(tmp_path: Path) -> None:
    before = replace(gone(), pid_namespace="another boot")
    cluster = exposed(tmp_path, entry(owner=before, renewed=datetime.now(UTC)))
    (failure,), there, _ = run(cluster, tmp_path)
    assert there
    assert "not undone yet: shop/cart" in failure.message
    assert (cluster.replicas(CART), recorded(tmp_path)) == (0, {"abc12": "shop"})
    write(cluster, entry(owner=before))  # renewed long ago
    assert run(cluster, tmp_path)[0] == []
    assert (cluster.replicas(CART), recorded(tmp_path)) == (2, {})


def test_a_colleagues_is_named_and_no_failure(tmp_path: Path) -> None:
    cluster = Cluster()
    write(cluster, entry(owner=replace(gone(), machine="another")))
    failures, there, said = run(cluster, tmp_path)
    assert (failures, there) == ([], True), "so nobody adds that there is nothing"
    assert "left alone: shop/cart, exposed by ada" in said
