"""The Leases of a live exposure: how they are made where a policy wants labels."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kubectl_localize.errors import ForbiddenError
from kubectl_localize.model import PodOptions, ServiceKey
from kubectl_localize.supervisor.exposing.journals import Journals
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.supervisor.exposing.waiter import Waiter
from kubectl_localize.timing import Notifier
from tests.unit.fakes.cluster import LEASES, Cluster
from tests.unit.fakes.runtime import runtime
from tests.unit.supervisor.exposing.samples import HERE, NOW, entry, labels

TEAM = PodOptions(labels=(("team", "payments"),), annotations=(("owner", "me"),))
LEASE = f"{LEASES}/localize-deployment-cart"


def journals(cluster: Cluster, directory: Path, options: PodOptions, followed: PodOptions) -> Journals:
    judge = Judge(HERE, lambda pid, started: True, lambda: NOW)
    waiter = Waiter(Notifier(), time.monotonic)
    cart = ServiceKey("shop", "cart")
    reached = runtime(cluster, directory)
    return Journals([entry()], cart, reached, judge, waiter, options=options, followed=followed)


@pytest.mark.parametrize(("options", "wanted"), [(TEAM, "owner"), (PodOptions(), "team")])
async def test_a_lease_has_the_labels_that_are_asked_for_or_needed(
    tmp_path: Path, options: PodOptions, wanted: str
) -> None:
    cluster = Cluster()
    cluster.refuses = lambda body: "" if wanted in str(body["metadata"]) else f"{wanted} is missing"
    made = journals(cluster, tmp_path, options, TEAM)
    await made.write()
    await made.stop()
    assert cluster.objects[LEASE]["metadata"]["labels"] == {**labels(), "team": "payments"}
    assert cluster.objects[LEASE]["metadata"]["annotations"]["owner"] == "me"


async def test_trying_out_makes_nothing(tmp_path: Path) -> None:
    cluster = Cluster()
    made = journals(cluster, tmp_path, PodOptions(), TEAM)
    await made.try_out()
    assert (cluster.objects, made.written) == ({}, [])
    cluster.refuses = lambda body: "exceeded quota: full"
    with pytest.raises(ForbiddenError, match="exceeded quota"):
        await made.try_out()


async def test_labels_that_nobody_needs_are_left_out(tmp_path: Path) -> None:
    cluster = Cluster()
    made = journals(cluster, tmp_path, PodOptions(), TEAM)
    await made.write()
    await made.stop()
    assert cluster.objects[LEASE]["metadata"]["labels"] == labels()


async def test_what_is_said_against_the_first_attempt_counts(tmp_path: Path) -> None:
    cluster = Cluster()
    cluster.refuses = lambda body: "too many labels" if "team" in body["metadata"]["labels"] else "no Leases here"
    with pytest.raises(ForbiddenError, match="no Leases here"):
        await journals(cluster, tmp_path, PodOptions(), TEAM).write()
    assert cluster.objects == {}
