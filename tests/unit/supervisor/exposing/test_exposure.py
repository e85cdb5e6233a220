"""How an exposure ends, whatever goes wrong with this machine: whoever waits for it hears of it."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_localize.cluster.exposing.values import Workload
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.supervisor.exposing.exposure import Exposure
from kubectl_localize.supervisor.exposing.means import Means
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from tests.unit.cluster.exposure_plan import REF, plan
from tests.unit.fakes.cluster import LEASES, Cluster
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.supervisor.exposing.samples import OWNER
from tests.unit.supervisor.exposing.test_pods import means
from tests.unit.supervisor.loop import play

LEASE = f"{LEASES}/localize-deployment-cart"


class Broken(SessionLedger):
    """A record whose disk has gone bad."""

    def __init__(self, path: Path, *, error: Exception, at: str) -> None:
        super().__init__(path, path.with_suffix(".lock"))
        self._error = error
        self._at = at

    async def add(self, session: str, namespace: str) -> None:
        if self._at == "add":
            raise self._error

    async def remove(self, session: str) -> None:
        if self._at == "remove":
            raise self._error


def ended(given: Means) -> LocalizeError | None:
    """The failure of an exposure that is asked to end before anything was written."""
    found: list[Exposure] = []

    async def run() -> None:
        exposure = Exposure(plan(), given, OWNER, step=lambda text: None)
        found.append(exposure)
        exposure.end()
        running = asyncio.create_task(exposure.run())
        await exposure.done.wait()
        await running

    play(run())
    return found[0].failure


def test_one_that_is_ended_before_it_wrote_anything_leaves_nothing(tmp_path: Path) -> None:
    cluster = Cluster()
    assert ended(means(cluster, tmp_path)) is None
    assert (cluster.story, list(tmp_path.iterdir())) == ([], [])


def test_what_the_way_up_had_not_reached_the_way_back_leaves_at_zero(tmp_path: Path) -> None:
    """A colleague scales it to zero, and right then the way up fails."""
    cluster = Cluster()
    cart = cluster.workload("cart", 2)

    def fails(now: float, method: str, path: str) -> str:
        if method == "POST" and path.endswith("/secrets") and LEASE in cluster.objects:
            cluster.scale(cart, 0)
            return FORBIDDEN
        return ""

    cluster.fails = fails
    exposed = plan(workloads=(Workload(REF, "cart-uid", 2, deepcopy(cluster.objects[cart])),))
    failure: list[LocalizeError | None] = []

    async def run() -> None:
        exposure = Exposure(exposed, means(cluster, tmp_path), OWNER, step=lambda text: None)
        await exposure.run()
        failure.append(exposure.failure)

    play(run())
    assert isinstance(failure[0], ForbiddenError)
    assert (cluster.replicas(cart), cluster.left("abc12")) == (0, [])
    assert "DELETE leases/localize-deployment-cart" in cluster.changes


def test_a_full_disk_is_said_and_nothing_is_begun(tmp_path: Path) -> None:
    cluster = Cluster()
    record = Broken(tmp_path / "exposures.json", error=OSError(28, "No space left on device"), at="add")
    failure = ended(replace(means(cluster, tmp_path), record=record))
    assert failure is not None
    assert failure.message == "an exposure cannot be prepared on this machine: No space left on device"
    assert str(tmp_path) in failure.hint
    assert cluster.story == []


def test_a_directory_that_is_gone_is_said_by_the_checks_as_well(tmp_path: Path) -> None:
    async def run() -> None:
        exposure = Exposure(plan(), means(Cluster(), tmp_path / "gone"), OWNER, step=lambda text: None)
        with pytest.raises(LocalizeError) as caught:
            await exposure.prepare()
        assert "internal error" not in caught.value.message
        await exposure.discard()

    play(run())


def test_a_record_that_cannot_be_written_at_the_end_is_no_failure(tmp_path: Path) -> None:
    record = Broken(tmp_path / "exposures.json", error=OSError(30, "Read-only file system"), at="remove")
    assert ended(replace(means(Cluster(), tmp_path), record=record)) is None


def test_whatever_goes_wrong_on_the_way_back_nobody_waits_for_ever(tmp_path: Path) -> None:
    record = Broken(tmp_path / "exposures.json", error=RuntimeError("a mistake of ours"), at="remove")
    failure = ended(replace(means(Cluster(), tmp_path), record=record))
    assert failure is not None
    assert failure.message == "internal error: a mistake of ours"
    assert list(tmp_path.iterdir()) == [], "its keys are put away all the same"


def test_keys_that_cannot_be_deleted_hold_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "host-abc12").mkdir()  # unlink(2) refuses it
    given = means(Cluster(), tmp_path)
    record = Broken(tmp_path / "exposures.json", error=OSError(28, "No space left on device"), at="add")
    failure = ended(replace(given, record=record))
    assert failure is not None
    assert "No space left" in failure.message
