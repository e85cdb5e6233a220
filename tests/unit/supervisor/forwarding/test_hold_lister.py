"""What is listed for a hold, also outside of the namespaces that it asked for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_localize.cluster.watch import Put, Removed
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.model import Options, Selection, Service, ServiceKey, ServicePort
from kubectl_localize.supervisor.forwarding.hold_lister import HoldLister
from kubectl_localize.supervisor.forwarding.holds import Hold
from kubectl_localize.supervisor.forwarding.informer import Coverage
from kubectl_localize.supervisor.forwarding.pod_ports import PodPorts
from kubectl_localize.timing import Clock
from tests.unit.supervisor.forwarding.test_reconciler import Stage

API = Service(ServiceKey("billing", "api"), "ExternalName", False, False, (), external_name="api.b.svc.cluster.local")
STEP = replace(API, key=ServiceKey("b", "api"), external_name="web.shop.svc.cluster.local")
WEB = Service(ServiceKey("shop", "web"), "ClusterIP", False, True, (ServicePort("http", 80, 80),))


class Cluster:
    """Namespaces that are listed when they are asked for, unless that is forbidden."""

    def __init__(self, stage: Stage, *forbidden: str) -> None:
        self.stage = stage
        self.forbidden = forbidden
        self.covered: list[str] = []

    async def cover(self, selection: Selection, namespace: str) -> Coverage:
        for name in selection.namespaces:
            self.covered.append(name)
            if name in self.forbidden:
                raise ForbiddenError("you may not")
            for service in (API, STEP, WEB):
                if service.key.namespace == name:
                    self.stage.store.services.apply(Put(str(service.key), service))
        return Coverage(selection.namespaces)

    async def services_elsewhere(self) -> list[ServiceKey]:
        return [WEB.key]


def lister_of(stage: Stage, cluster: Cluster) -> HoldLister:
    """What is tested."""
    pods = PodPorts(stage.pods, stage.store, Clock(lambda: 0.0, asyncio.sleep))
    return HoldLister("dev", stage.store, cluster, stage.reconciler, pods)


async def test_external_names_are_followed_step_by_step(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    cluster = Cluster(stage)
    hold = Hold(Selection(namespaces=("billing",)), "default", Options())
    (spec,) = await lister_of(stage, cluster).list(hold)
    assert (spec.key, spec.note, spec.skipped) == (API.key, "ExternalName leads to shop/web", "")
    assert cluster.covered == ["billing", "b", "shop"]
    assert hold.namespaces == ("billing", "b", "shop")


async def test_where_one_may_not_look_it_ends_with_the_reason_and_is_not_tried_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    cluster = Cluster(stage, "b")
    hold = Hold(Selection(namespaces=("billing",)), "default", Options())
    lister = lister_of(stage, cluster)
    (spec,) = await lister.list(hold)
    assert spec.skipped == "ExternalName leads to b/api, which is not there or not followed (-n b)"
    await lister.follow_external_names(hold)
    assert cluster.covered == ["billing", "b"]
    assert hold.namespaces == ("billing",)


async def test_those_that_come_later_are_followed_as_well(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    cluster = Cluster(stage)
    hold = Hold(Selection(namespaces=("billing",)), "default", Options())
    lister = lister_of(stage, cluster)
    await lister.list(hold)
    later = replace(API, key=ServiceKey("billing", "db"), external_name="db.data.svc.cluster.local")
    stage.store.services.apply(Put("billing/db", later))
    stage.store.services.apply(Removed("billing/api"))
    stage.reconciler.preview(hold)
    await lister.follow_external_names(hold)
    assert cluster.covered[3:] == ["data"]


async def test_nothing_selected_is_an_error(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    hold = Hold(Selection(namespaces=("empty",)), "default", Options())
    with pytest.raises(LocalizeError, match="empty"):
        await lister_of(stage, Cluster(stage)).list(hold)
