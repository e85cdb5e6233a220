"""`expose --keep`: a Service is switched to the local process and back, and its pods neither stop nor restart."""

from __future__ import annotations

import json
import time

import pytest

from tests.cluster.commands import wait_until
from tests.real import crashing
from tests.real.cluster import Cluster
from tests.real.crashing import AFTER, PassThrough, journal_of, kill_everything, open_port
from tests.real.exposing import (
    DEVELOPERS,
    LOCAL,
    PER_SECOND,
    Client,
    Expose,
    Local,
    become,
    check_nothing_left,
    cluster_address,
    expose,
    failed,
    grant,
    leftovers,
    summary,
)
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
from tests.real.manifests import Manifest, as_list, deployment, headless, service, statefulset
from tests.real.product import Product, assert_fails, warnings
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


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_services_that_clients_meet_otherwise(cluster: Cluster, web: str, sandbox: Sandbox, figure: Figure) -> None:
    """Those that keep a client at one pod, send to pods that are not Ready, or have no address of their own."""
    sticky, early = service("sticky", app="web", sessionAffinity="ClientIP"), service("early", app="web")
    early["spec"]["publishNotReadyAddresses"] = True
    cluster.apply(web, sticky, early, headless("bare", app="web"))
    pods = pod_uids(cluster, web)
    names = ("sticky", "early", "bare")
    for name in names:
        cluster.wait_endpoints(web, name, 2)
    targets = [cluster_address(cluster, web, name) for name in names[:2]]
    with (
        Local(sandbox) as local,
        Client(cluster, web, *targets) as client,
        Client(cluster, web, f"bare.{web}.svc.cluster.local:8080", name="dns") as dns,
    ):
        client.more(PER_SECOND)
        argv = [*(f"{web}/{name}" for name in names), *(f"--map={name}={local.port}" for name in names)]
        began = time.monotonic()
        with Expose(sandbox, "--keep", *argv) as command:
            command.wait_exposed()
            client.wait_settled(LOCAL)
            dns.wait_settled(LOCAL, 60)  # DNS answers are kept for some seconds
            command.end()
        client.more(PER_SECOND)
        attempts = client.attempts(began)
        assert not [attempt for attempt in attempts[-PER_SECOND // 2 :] if attempt.body == LOCAL]
        assert not failed(attempts), failed(attempts)
        figure(summary("switched: sessionAffinity and publishNotReadyAddresses", attempts))
    check_back(cluster, web, dict.fromkeys(names, WEB), pods)


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
        # As `helm upgrade` does: what is there is merged with what was applied.
        cluster.apply(web, service("web"))
        wait_reason(f"nothing comes here: Service {web}/web selects app=web")
        assert selector_of(cluster, web, "web") == WEB
        assert answer(cluster, web, "web").startswith("web-")
        done = product.stop()
    assert f"Service {web}/part selects app=web,tier=front now: somebody else has changed it" in done.stderr
    assert f"Service {web}/gone is gone: somebody has deleted it" in done.stderr
    assert selector_of(cluster, web, "web") == WEB
    check_nothing_left(cluster, web)


def test_server_side_apply_meets_no_conflict_while_it_is_switched_and_after(
    cluster: Cluster, web: str, product: Product
) -> None:
    def apply(**selector: str) -> None:
        manifest = service("applied")
        manifest["spec"]["selector"] = selector
        cluster.kubectl("apply", "--server-side", f"--namespace={web}", "-f", "-", stdin=as_list(manifest))

    apply(**WEB)
    with open_port() as port:
        done = expose(product.sandbox, "-d", "--keep", f"{web}/applied", f"--map={port}")
        assert done.returncode == 0, done.stderr
        assert is_switched(cluster, web, "applied")
        apply(**WEB)
        assert selector_of(cluster, web, "applied") == WEB
        product.stop()
        done = expose(product.sandbox, "-d", "--keep", f"{web}/applied", f"--map={port}")
        assert done.returncode == 0, done.stderr
        product.stop()
    assert selector_of(cluster, web, "applied") == WEB
    apply(app="other")
    assert selector_of(cluster, web, "applied") == {"app": "other"}


# -- what is said before, and who may ----------------------------------------------------------------------------------
def _policy(name: str, **labels: str) -> Manifest:
    spec = {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"], "ingress": [{}]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


def test_what_it_would_do_and_what_that_brings_with_it(cluster: Cluster, web: str, sandbox: Sandbox) -> None:
    local_only = service("local", app="web", internalTrafficPolicy="Local")
    cluster.apply(web, _policy("allow", app="web"), local_only)
    pods = pod_uids(cluster, web)
    with open_port() as port:
        maps = [f"--map=web={port}", f"--map=local={port}"]
        done = expose(sandbox, "--dry-run", "--keep", f"{web}/web", f"{web}/local", *maps)
    assert done.returncode == 0, done.stderr
    assert f"switch Service {web}/web from app=web to the exposure pod, and back at the end" in done.stdout
    assert "failsafe: with its own ServiceAccount, switch back after 10m without this machine" in done.stdout
    assert "create the journal, Lease localize-service-web" in done.stdout
    policy, node = sorted(warnings(done))
    assert policy.startswith("NetworkPolicy allow does not apply to the exposure pod")
    assert node.startswith("only clients on the exposure pod's node reach this machine")
    check_back(cluster, web, {"web": WEB}, pods)


@pytest.mark.node
def test_the_role_is_enough_and_without_the_right_to_patch_it_is_refused(
    cluster: Cluster, web: str, sandbox: Sandbox
) -> None:
    grant(cluster, web)
    become(cluster, sandbox, "carol", web, DEVELOPERS)
    may = ("kubectl", "auth", "can-i", "patch", "services")
    wait_until("the role", lambda: sandbox.run(*may).stdout.strip() == "yes", 20)
    pods = pod_uids(cluster, web)
    with Local(sandbox) as local:
        done = expose(sandbox, "-d", "--keep", "web", f"--map={local.port}")
        assert done.returncode == 0, done.stderr
        assert warnings(done) == []
        wait_local(cluster, web, "web")
        done = sandbox.localize("expose", "--stop", "web")
        assert done.returncode == 0, done.stderr
        check_back(cluster, web, {"web": WEB}, pods)
        name = "kubectl-localize-expose"
        rules = cluster.get("role", name, f"--namespace={web}")["rules"]
        less = [{**rule, "verbs": [verb for verb in rule["verbs"] if verb != "patch"]} for rule in rules]
        cluster.kubectl("patch", "role", name, f"--namespace={web}", f"--patch={json.dumps({'rules': less})}")
        wait_until("less rights", lambda: sandbox.run(*may).stdout.strip() == "no", 20)
        done = expose(sandbox, "--keep", "web", f"--map={local.port}")
    assert_fails(done, f"^error: you may not patch services in namespace {web}$", "docs/rbac.yaml")


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


@pytest.mark.parametrize("number", [1, 3], ids=["there", "back"])  # each patch is followed by one of managedFields
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


def test_it_is_undone_by_hand(cluster: Cluster, web: str, sandbox: Sandbox) -> None:
    pods = pod_uids(cluster, web)
    with open_port() as port:
        done = expose(sandbox, "-d", "--keep", f"{web}/web", f"--map={port}")
        assert done.returncode == 0, done.stderr
        undo = journal_of(cluster, web)["metadata"]["annotations"]["kubectl-localize/undo"]
        kill_everything(sandbox)
    assert undo.startswith(f"kubectl set selector -n {web} service/web app=web && kubectl delete ")
    done = sandbox.run("sh", "-c", undo)
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
