"""Taking over what a silent colleague has claimed: only if it is certain, and then all of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kubectl_localize.cluster.exposing.claims import ExposedAlreadyError, exposed_already
from kubectl_localize.cluster.exposing.journal import Owner
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.colleagues import Colleagues
from kubectl_localize.supervisor.exposing.sessions import Judge
from tests.unit.fakes.cluster import APPS, Cluster
from tests.unit.fakes.progress import RecordedProgress
from tests.unit.supervisor.exposing.samples import HERE, NOW, OWNER, POD, SECRET, entry, exposure_pod, labels, write

CART = f"{APPS}/deployments/cart"
BOB = replace(OWNER, user="bob", login="bob@desk", machine="another")


class Dated(Cluster):
    """Has a clock of its own, which what is made gets."""

    def __init__(self, minutes: float) -> None:
        super().__init__()
        self.moment = NOW + timedelta(minutes=minutes)

    def admitted(self, body: dict[str, object]) -> dict[str, object]:
        return {**body, "metadata": {"creationTimestamp": self.moment.strftime("%Y-%m-%dT%H:%M:%SZ")}}


def stage(minutes: float, *, ready: bool = False, owner: Owner = BOB) -> tuple[Dated, Colleagues, ExposedAlreadyError]:
    """Bob has exposed cart, and was last seen so long ago; our own clock stands still."""
    cluster = Dated(minutes)
    cluster.workload("cart", 0)
    held = entry(owner=owner)
    write(cluster, held)
    cluster.put(SECRET, {"metadata": {"labels": labels()}})
    cluster.put(POD, exposure_pod(ready))
    cluster.slice("cart")
    cluster.story.clear()
    judge = Judge(HERE, lambda pid, started: True, lambda: NOW)
    error = exposed_already(ServiceKey("shop", "cart"), [held], NOW, judge.advice)
    return cluster, Colleagues(cluster.api, judge, cluster.clock), error


async def test_a_colleague_who_is_gone_is_undone_as_a_whole() -> None:
    cluster, colleagues, error = stage(10)
    progress = RecordedProgress()
    assert await colleagues.judge(error) == ["would undo the exposure of shop/cart: Deployment shop/cart back to 2"]
    assert cluster.story == []
    await colleagues.take_over(error, progress)
    assert progress.steps[0] == "taking shop/cart over from bob (bob@desk)"
    assert (cluster.replicas(CART), cluster.left("abc12")) == (2, [])


@pytest.mark.parametrize(
    ("minutes", "ready", "why"),
    [(9.9, False, "last seen"), (0, False, "last seen 0 s ago"), (60, True, "pod localize-cart-abc12 is Ready")],
)
async def test_whoever_may_live_is_left_alone(minutes: float, ready: bool, why: str) -> None:
    cluster, colleagues, error = stage(minutes, ready=ready)
    with pytest.raises(LocalizeError, match=f"cannot be taken over from bob .*: {why}") as caught:
        await colleagues.take_over(error, RecordedProgress())
    assert "ask bob@desk" in caught.value.hint
    assert cluster.story == []


async def test_ones_own_is_no_colleagues() -> None:
    cluster, colleagues, error = stage(60, owner=OWNER)
    with pytest.raises(ExposedAlreadyError):
        await colleagues.take_over(error, RecordedProgress())
    assert cluster.story == []
