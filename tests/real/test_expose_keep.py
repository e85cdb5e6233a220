"""`expose --keep`: a Service is switched to the local process and back, and its pods neither stop nor restart."""

from __future__ import annotations

import json
import time

import pytest

from tests.cluster.commands import wait_until
from tests.real import crashing
from tests.real.cluster import Cluster
from tests.real.crashing import AFTER, PassThrough, kill_everything, open_port
from tests.real.exposing import Local, check_nothing_left, expose, failed, leftovers
from tests.real.exposing_rounds import Case, client_of, prepare
from tests.real.exposure_pod import restricted
from tests.real.keeping import (
    answer,
    check_back,
    is_switched,
    pod_uids,
    selector_of,
    switch_there_and_back,
    template,
    wait_foreign,
    wait_local,
)
from tests.real.manifests import Manifest, deployment, service, statefulset
from tests.real.product import Product
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure

ROUNDS = 3
AT_MOST_SECONDS = 5.0  # on a machine that does other things, too; the aim is 2 s
WEB = {"app": "web"}


@pytest.fixture
def web(cluster: Cluster, namespace: str) -> str:
    """A namespace with a Deployment of 2 and its Service, which answers."""
    cluster.apply(namespace, deployment("web", 2), service("web"))
    cluster.wait_ready(namespace, "deployment/web")
    cluster.wait_endpoints(namespace, "web", 2)
    return namespace


@pytest.mark.alone
@pytest.mark.timeout(240)
def test_a_service_is_switched_there_and_back_without_a_failure(
    cluster: Cluster, namespace: str, sandbox: Sandbox, figure: Figure
) -> None:
    case = Case((restricted(deployment("web", 2)), service("web")))
    prepare(cluster, namespace, case)
    pods = cluster.pods(namespace, "web")
    with Local(sandbox) as local, client_of(cluster, namespace, case) as client:
        for number in range(ROUNDS):
            switch = switch_there_and_back(sandbox, client, *case.argv(namespace, local))
            figure(switch.says(f"switched, round {number + 1}"))
            assert not failed(switch.attempts), failed(switch.attempts)
            assert max(switch.there, switch.back) < AT_MOST_SECONDS
    assert cluster.pods(namespace, "web") == pods
    check_nothing_left(cluster, namespace)


# -- what scaling refuses ----------------------------------------------------------------------------------------------
def _daemon_set() -> Manifest:
    spec = {"selector": {"matchLabels": {"app": "agent"}}, "template": template("agent")}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": spec}


def _pod() -> Manifest:
    pod = template("single")
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "single", **pod["metadata"]}, "spec": pod["spec"]}


def _job() -> Manifest:
    pod = template("job")
    pod["spec"]["restartPolicy"] = "Never"
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": pod}}


def _volatile() -> Manifest:
    db = statefulset("db", 1)
    db["spec"]["persistentVolumeClaimRetentionPolicy"] = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    return db


def _autoscaler() -> Manifest:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"}
    spec = {"scaleTargetRef": reference, "maxReplicas": 3}
    return {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "scaled"}, "spec": spec
    }  # fmt: skip


KINDS = ("agent", "single", "job", "db", "scaled")


@pytest.mark.timeout(240)
def test_every_kind_of_pod_is_taken_and_none_of_them_notices(
    cluster: Cluster, namespace: str, product: Product
) -> None:
    cluster.apply(namespace, _daemon_set(), _pod(), _job(), _volatile(), deployment("scaled"), _autoscaler())
    # Two more lead to nobody, and to the pods of another one.
    others = [service("empty", {80: 8080}), service("neighbour", app="scaled")]
    cluster.apply(namespace, *(service(name) for name in KINDS), *others)
    for name in KINDS:
        cluster.wait_endpoints(namespace, name)
    names = [*KINDS, "empty"]
    before = {name: selector_of(cluster, namespace, name) for name in [*names, "neighbour"]}
    pods = pod_uids(cluster, namespace)
    with Local(product.sandbox) as local:
        maps = [f"--map={name}={local.port}" for name in names]
        done = expose(product.sandbox, "-d", "--keep", *maps, *(f"{namespace}/{name}" for name in names))
        assert done.returncode == 0, done.stderr
        for name in names:
            wait_local(cluster, namespace, name)
        assert selector_of(cluster, namespace, "neighbour") == before["neighbour"]
        assert answer(cluster, namespace, "neighbour").startswith("scaled-")
        product.stop()
    for name in KINDS:
        wait_foreign(cluster, namespace, name)
    check_back(cluster, namespace, before, pods)


# -- others -----------------------------------------------------------------------------------------------------------
def test_whoever_changes_the_selector_meanwhile_wins_and_it_is_said(
    cluster: Cluster, web: str, product: Product
) -> None:
    names = ("web", "part", "gone")
    cluster.apply(web, *(service(name, app="web") for name in names))
    with Local(product.sandbox) as local:
        maps = [f"--map={name}={local.port}" for name in names]
        done = expose(product.sandbox, "-d", "--keep", *maps, *(f"{web}/{name}" for name in names))
        assert done.returncode == 0, done.stderr

        def wait_reason(words: str) -> None:
            product.wait_item(f"{web}/web", words, lambda item: words in item["reason"], 10)

        cluster.kubectl("delete", "service", "gone", f"--namespace={web}")
        wait_reason(f"nothing comes here: Service {web}/gone is gone")
        more = json.dumps({"spec": {"selector": {"tier": "front"}}})  # a selector that finds nobody as it is
        cluster.kubectl("patch", "service", "part", f"--namespace={web}", f"--patch={more}")
        wait_reason(f"nothing comes here: Service {web}/part selects app=web,tier=front")
        assert selector_of(cluster, web, "part") == {"app": "web", "tier": "front"}
        cluster.apply(web, service("web"))  # as `helm upgrade` does: what is there is merged with what was applied
        wait_reason(f"nothing comes here: Service {web}/web selects app=web")
        assert selector_of(cluster, web, "web") == WEB
        assert answer(cluster, web, "web").startswith("web-")
        done = product.stop()
    assert f"Service {web}/part selects app=web,tier=front now: somebody else has changed it" in done.stderr
    assert f"Service {web}/gone is gone: somebody has deleted it" in done.stderr
    assert selector_of(cluster, web, "web") == WEB
    check_nothing_left(cluster, web)


# -- the machine is gone -----------------------------------------------------------------------------------------------
def test_the_failsafe_switches_back_and_restore_finds_that_done(
    cluster: Cluster, web: str, sandbox: Sandbox, figure: Figure
) -> None:
    pods = pod_uids(cluster, web)
    with Local(sandbox) as local:
        done = expose(sandbox, "-d", "--keep", "--failsafe=2s", f"{web}/web", f"--map={local.port}")
        assert done.returncode == 0, done.stderr
        wait_local(cluster, web, "web")
        assert is_switched(cluster, web, "web")
        kill_everything(sandbox)
        killed = time.monotonic()
        wait_until("selector of before", lambda: selector_of(cluster, web, "web") == WEB, 40)
        figure(f"--keep: the failsafe of 2 s has switched back {time.monotonic() - killed:.1f} s after the end")
        wait_foreign(cluster, web, "web")
    assert {one.split()[0] for one in leftovers(cluster, web)} >= {"Pod", "Secret", "Lease"}
    done = sandbox.localize("restore")
    assert done.returncode == 0, done.stderr
    check_back(cluster, web, {"web": WEB}, pods)


@pytest.mark.parametrize("number", [1, 2], ids=["there", "back"])
def test_killed_as_the_service_is_switched(number: int, cluster: Cluster, web: str, sandbox: Sandbox) -> None:
    pods = pod_uids(cluster, web)
    passing = PassThrough(sandbox, number, AFTER, "PATCH")
    with open_port() as port, crashing.expose(sandbox, f"{web}/web", port, "--keep", env=passing.env) as run:
        assert run.there_and_back(lambda: passing.reached), passing.calls()
        kill_everything(sandbox)
    assert passing.calls() == ["patch services/web"] * number
    assert is_switched(cluster, web, "web") == (number == 1)
    done = sandbox.localize("restore")
    assert done.returncode == 0, done.stderr
    check_back(cluster, web, {"web": WEB}, pods)


def test_restore_switches_back_and_says_so(cluster: Cluster, web: str, sandbox: Sandbox) -> None:
    pods = pod_uids(cluster, web)
    with open_port() as port:
        done = expose(sandbox, "-d", "--keep", f"{web}/web", f"--map={port}")
        assert done.returncode == 0, done.stderr
        kill_everything(sandbox)
    assert is_switched(cluster, web, "web")
    done = sandbox.localize("restore", "--dry-run")
    assert f"Service {web}/web back to app=web" in done.stdout
    done = sandbox.localize("restore")
    assert done.returncode == 0, done.stderr
    assert f"Service {web}/web selects app=web again" in done.stderr
    check_back(cluster, web, {"web": WEB}, pods)
