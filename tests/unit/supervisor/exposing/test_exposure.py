"""How an exposure ends, whatever goes wrong with this machine: whoever waits for it hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cluster.exposing.values import Workload
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.ls_document import Status
from kubectl_localize.supervisor.exposing.exposure import Exposure
from kubectl_localize.supervisor.exposing.informer import ExposureInformer
from kubectl_localize.supervisor.exposing.session_ledger import SessionLedger
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.supervisor.runtime import Runtime
from tests.unit.cluster.exposure_plan import REF, plan
from tests.unit.cluster.samples import NO_ROUTE, UNAUTHORIZED
from tests.unit.fakes.cluster import LEASES, Cluster
from tests.unit.fakes.progress import RecordedProgress
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.fakes.runtime import runtime
from tests.unit.supervisor.exposing.samples import HERE, NOW, OWNER

LEASE = f"{LEASES}/localize-deployment-cart"


class Broken(SessionLedger):
    """A record whose disk has gone bad."""

    def __init__(self, path: Path, *, error: Exception, at: str) -> None:
        super().__init__(path, path.with_suffix(".lock"))
        self._error = error
        self._at = at

    async def add(self, session: str, namespace: str, journals: Sequence[str] = ()) -> None:
        if self._at == "add":
            raise self._error

    async def remove(self, session: str) -> None:
        if self._at == "remove":
            raise self._error


def exposure(reached: Runtime, ledger: SessionLedger | None = None, **changes: Any) -> Exposure:
    """An exposure of shop/cart."""
    if ledger is None:
        ledger = SessionLedger(reached.directory / "exposures.json", reached.directory.parent / "lock")
    judge = Judge(HERE, lambda pid, started: True, lambda: NOW)
    return Exposure(plan(**changes), reached, OWNER, ledger=ledger, judge=judge, progress=RecordedProgress())


def left(directory: Path) -> list[Path]:
    """The files that are still there."""
    return list(directory.iterdir())


async def ended(reached: Runtime, ledger: SessionLedger | None = None) -> LocalizeError | None:
    """The failure of an exposure that is asked to end before anything was written."""
    ending = exposure(reached, ledger)
    ending.end()
    running = asyncio.create_task(ending.run())
    await ending.done.wait()
    await running
    return ending.failure


async def test_one_that_is_ended_before_it_wrote_anything_leaves_nothing(tmp_path: Path) -> None:
    cluster = Cluster()
    assert await ended(runtime(cluster, tmp_path)) is None
    assert (cluster.story, left(tmp_path)) == ([], [])


async def test_what_the_way_up_had_not_reached_the_way_back_leaves_at_zero(tmp_path: Path) -> None:
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
    failing = exposure(runtime(cluster, tmp_path), workloads=exposed.workloads)
    await failing.run()
    assert isinstance(failing.failure, ForbiddenError)
    assert (cluster.replicas(cart), cluster.left("abc12")) == (0, [])
    assert "DELETE leases/localize-deployment-cart" in cluster.changes


async def test_a_full_disk_is_said_and_nothing_is_begun(tmp_path: Path) -> None:
    cluster = Cluster()
    ledger = Broken(tmp_path / "exposures.json", error=OSError(28, "No space left on device"), at="add")
    failure = await ended(runtime(cluster, tmp_path), ledger)
    assert failure is not None
    assert failure.message == "an exposure cannot be prepared on this machine: No space left on device"
    assert str(tmp_path) in failure.hint
    assert cluster.story == []


async def test_a_directory_that_is_gone_is_said_by_the_checks_as_well(tmp_path: Path) -> None:
    made = exposure(runtime(Cluster(), tmp_path / "gone"))
    with pytest.raises(LocalizeError) as caught:
        await made.prepare()
    assert "internal error" not in caught.value.message
    await made.discard()


async def test_a_record_that_cannot_be_written_at_the_end_is_no_failure(tmp_path: Path) -> None:
    ledger = Broken(tmp_path / "exposures.json", error=OSError(30, "Read-only file system"), at="remove")
    assert await ended(runtime(Cluster(), tmp_path), ledger) is None


async def test_whatever_goes_wrong_on_the_way_back_nobody_waits_for_ever(tmp_path: Path) -> None:
    ledger = Broken(tmp_path / "exposures.json", error=RuntimeError("a mistake of ours"), at="remove")
    failure = await ended(runtime(Cluster(), tmp_path), ledger)
    assert failure is not None
    assert failure.message == "internal error: a mistake of ours"
    assert left(tmp_path) == [], "its keys are put away all the same"


async def test_keys_that_cannot_be_deleted_hold_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "host-abc12").mkdir()  # unlink(2) refuses it
    given = runtime(Cluster(), tmp_path)
    ledger = Broken(tmp_path / "exposures.json", error=OSError(28, "No space left on device"), at="add")
    failure = await ended(given, ledger)
    assert failure is not None
    assert "No space left" in failure.message


async def test_what_cannot_be_closed_keeps_nothing_else_open(tmp_path: Path) -> None:
    """Our listeners are closed and the keys put away, although the informer does not end well."""
    reached = runtime(Cluster(), tmp_path)
    ending = exposure(reached)

    async def broken(informer: ExposureInformer) -> None:
        raise RuntimeError("a mistake of ours")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ExposureInformer, "end", broken)
        ending.end()
        await ending.run()
    assert ending.failure is not None
    assert ending.failure.message == "internal error: a mistake of ours"
    assert left(tmp_path) == []


# -- a way back that cannot be walked ---------------------------------------------------------------------------------
class Refusing(Cluster):
    """Refuses Secrets, which ends every way up, and from then on each change with `refusal`, as long as it has one."""

    def __init__(self, refusal: str) -> None:
        super().__init__()
        self.refusal = refusal
        self.refused = 0
        self.fails = self._refuse

    def _refuse(self, now: float, method: str, path: str) -> str:
        if method == "POST" and path.endswith("/secrets") and LEASE in self.objects:
            return FORBIDDEN
        if method == "DELETE" and self.refusal:
            self.refused += 1
            return self.refusal
        return ""


@pytest.mark.parametrize(
    ("refusal", "helps"),
    [
        (UNAUTHORIZED, "log in to the cluster again"),
        (FORBIDDEN, "ask somebody with these rights to run: "),
        (NO_ROUTE, "`kubectl localize ls` shows how far it is"),
    ],
)
async def test_a_way_back_that_cannot_be_walked_is_tried_again_until_it_is_done(
    refusal: str, helps: str, tmp_path: Path
) -> None:
    cluster = Refusing(refusal)
    cart = cluster.workload("cart", 2)
    workload = Workload(REF, "cart-uid", 2, deepcopy(cluster.objects[cart]))
    ending = exposure(runtime(cluster, tmp_path), workloads=(workload,))
    running = asyncio.create_task(ending.run())
    await ending.settled.wait()
    assert ending.postponed is not None
    assert helps in ending.postponed.hint
    assert "tried again until it is done" in ending.postponed.hint
    assert ending.items("dev")[0].status is Status.RESTORING
    assert ending.items("dev")[0].reason == ending.postponed.message
    assert not ending.done.is_set()

    ending.end()
    before = cluster.refused
    await ending.settled.wait()
    assert cluster.refused > before, "it was tried again at once, as somebody asked for it"

    cluster.refusal = ""
    await ending.done.wait()
    await running
    assert cluster.left("abc12") == []
    assert left(tmp_path) == []
