"""The checks before any change: groups, blockers, rights, maps, colleagues; and that nothing is changed by them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.values import WorkloadRef
from kubectl_localize.errors import ForbiddenError, LocalizeError
from kubectl_localize.model import PortMap, ServiceKey
from kubectl_localize.protocol import ExposeRequest
from kubectl_localize.supervisor.exposing.checks import Checks, Findings
from kubectl_localize.supervisor.exposing.keeping import LAST_APPLIED
from kubectl_localize.supervisor.exposing.plan import describe, journal_entries
from kubectl_localize.supervisor.exposing.sessions import Judge
from tests.unit.cluster.samples import CONNECTION
from tests.unit.fakes.cluster import APPS, CORE, SLICES, Cluster
from tests.unit.fakes.requests import FORBIDDEN
from tests.unit.fakes.runtime import runtime
from tests.unit.supervisor.exposing.samples import HERE, NOW, OWNER, entry, labels, write

CART, WEB = ServiceKey("shop", "cart"), ServiceKey("shop", "web")
HPA = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"


def add(cluster: Cluster, name: str, *, kind: str = "Deployment", port: int = 8080, **spec: Any) -> None:
    """A workload of two, its pods, and a Service of the same name."""
    path = f"{APPS}/{kind.lower()}s/{name}"
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main"}]}}
    wanted = {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    status = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2, "observedGeneration": 1}
    cluster.put(path, {"metadata": {"uid": f"{name}-uid"}, "spec": wanted, "status": status})
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": f"{name}-uid", "controller": True}
    for number in range(2):
        meta = {"labels": {"app": name}, "ownerReferences": [owner]}
        cluster.put(f"{CORE}/pods/{name}-{number}", {"metadata": meta, "spec": template["spec"]})
    service(cluster, name, {"app": name}, port)


def service(cluster: Cluster, name: str, selector: dict[str, str], port: int = 8080, **spec: Any) -> None:
    ports = [{"port": 80, "targetPort": port, "protocol": "TCP"}]
    cluster.put(f"{CORE}/services/{name}", {"spec": {"ports": ports, "selector": selector, **spec}})


@pytest.fixture
def cluster() -> Cluster:
    """Deployments cart and web, a Service each."""
    found = Cluster()
    add(found, "cart")
    add(found, "web", port=9090)
    return found


def checks(
    cluster: Cluster,
    *keys: ServiceKey,
    listens: Callable[[str, int], bool | None] = lambda host, port: True,
    **request: Any,
) -> Checks:
    judge = Judge(HERE, lambda pid, started: True, lambda: NOW)
    return Checks(runtime(cluster, Path(), listens), ExposeRequest(CONNECTION, keys or (CART,), **request), judge)


def check(cluster: Cluster, *keys: ServiceKey, **order: Any) -> Findings:
    before = {path: dict(one) for path, one in cluster.objects.items()}
    try:
        return asyncio.run(checks(cluster, *keys, **order).run())
    finally:
        assert (cluster.story, cluster.objects) == ([], before)


def refused(cluster: Cluster, *keys: ServiceKey, **order: Any) -> LocalizeError:
    with pytest.raises(LocalizeError) as caught:
        check(cluster, *keys, **order)
    return caught.value


# -- what it comes to -------------------------------------------------------------------------------------------------
def test_a_plan(cluster: Cluster) -> None:
    found = check(cluster)
    (plan,) = found.plans
    assert (found.user, found.warnings, found.not_carried) == ("ada", (), ())
    assert (plan.namespace, plan.services, plan.labels) == ("shop", (CART,), (("app", "cart"),))
    assert [(one.ref.name, one.uid, one.replicas) for one in plan.workloads] == [("cart", "cart-uid", 2)]
    assert [(one.number, one.local) for one in plan.ports] == [(8080, "127.0.0.1:8080")]
    assert plan.failsafe is not None
    assert (plan.failsafe.own, plan.failsafe.after_seconds, plan.failsafe.image) == (True, 600, plan.image)
    assert plan.session != check(cluster).plans[0].session
    (one,) = journal_entries(plan, OWNER, NOW)
    assert (one.workload, one.uid, one.replicas, one.services) == (plan.workloads[0].ref, "cart-uid", 2, ("shop/cart",))
    words = describe(plan)
    assert words[0] == "create the journal, Lease localize-deployment-cart"
    assert words[-1] == "scale Deployment shop/cart from 2 to 0, and back at the end"


@pytest.mark.parametrize(("seconds", "words"), [(600, "10m"), (90, "90s"), (1, "1s"), (7200, "120m")])
def test_how_long_the_failsafe_waits_is_said_as_it_is_written(cluster: Cluster, seconds: int, words: str) -> None:
    (line,) = (line for line in describe(check(cluster, failsafe_seconds=seconds).plans[0]) if "failsafe" in line)
    assert line == f"failsafe: with its own ServiceAccount, scale up after {words} without this machine"


def test_services_that_share_a_workload_go_together(cluster: Cluster) -> None:
    service(cluster, "admin", {"app": "cart"}, 8081)
    plans = check(cluster, WEB, CART, ServiceKey("shop", "admin")).plans
    assert [[str(key) for key in plan.services] for plan in plans] == [["shop/web"], ["shop/cart", "shop/admin"]]
    assert [port.number for port in plans[1].ports] == [8080, 8081]


def test_a_service_that_is_linked_by_a_third_one_joins_two_groups(cluster: Cluster) -> None:
    for name in ("cart", "web"):
        for number in range(2):
            cluster.objects[f"{CORE}/pods/{name}-{number}"]["metadata"]["labels"]["tier"] = "front"
        cluster.objects[f"{APPS}/deployments/{name}"]["spec"]["template"]["metadata"]["labels"]["tier"] = "front"
    for name in ("cart", "web"):
        cluster.objects[f"{CORE}/services/{name}"]["spec"]["selector"] = {"tier": "front"}
    (plan,) = check(cluster, CART, WEB).plans
    assert [workload.ref.name for workload in plan.workloads] == ["cart", "web"]


def test_other_services_on_the_same_pods_keep_their_endpoint(cluster: Cluster) -> None:
    service(cluster, "metrics", {"app": "cart"}, 9100)
    (plan,) = check(cluster).plans
    assert [(port.number, port.asked) for port in plan.ports] == [(8080, True), (9100, False)]
    assert plan.services == (CART,)


def test_keep_switches_the_service_and_touches_no_workload(cluster: Cluster) -> None:
    service(cluster, "metrics", {"app": "cart"}, 9100)
    (plan,) = check(cluster, keep=True).plans
    mark = f"localize-{plan.session}"
    assert (plan.workloads, plan.labels, [port.number for port in plan.ports]) == ((), (("app", mark),), [8080])
    (switched,) = plan.switched
    assert (str(switched.ref), switched.selector) == ("Service shop/cart", (("app", "cart"),))
    (one,) = journal_entries(plan, OWNER, NOW)
    assert (one.workload, one.replicas, one.selector) == (switched.ref, None, (("app", "cart"),))
    words = describe(plan)
    assert words[-2] == "failsafe: with its own ServiceAccount, switch back after 10m without this machine"
    assert words[-1] == "switch Service shop/cart from app=cart to the exposure pod, and back at the end"


def test_services_on_the_same_pods_are_switched_to_one_pod(cluster: Cluster) -> None:
    service(cluster, "admin", {"app": "cart", "tier": "front"}, 8081)
    for number in range(2):
        cluster.objects[f"{CORE}/pods/cart-{number}"]["metadata"]["labels"]["tier"] = "front"
    (plan,) = check(cluster, CART, ServiceKey("shop", "admin"), keep=True).plans
    mark = f"localize-{plan.session}"
    assert plan.labels == (("app", mark), ("tier", mark))
    assert [port.number for port in plan.ports] == [8080, 8081]
    assert [one.workload.name for one in journal_entries(plan, OWNER, NOW)] == ["cart", "admin"]


def test_keep_asks_for_no_workload_and_needs_no_pods(cluster: Cluster) -> None:
    cluster.rules = all_but("deployments", "replicasets", "deployments/scale", "horizontalpodautoscalers")
    cluster.fails = lambda now, method, path: FORBIDDEN if path.startswith(APPS) else ""
    (plan,) = check(cluster, keep=True).plans
    assert plan.replaced["spec"] == {"containers": [{"name": "main"}]}
    service(cluster, "empty", {"app": "none"})
    assert check(cluster, ServiceKey("shop", "empty"), keep=True).plans[0].labels[0][0] == "app"


def test_what_a_switch_brings_with_it_is_said_before(cluster: Cluster) -> None:
    policies = "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies"
    cluster.put(f"{policies}/allow", {"spec": {"podSelector": {"matchLabels": {"app": "cart"}}}})
    assert check(cluster, force=True).warnings == ()
    (warning,) = check(cluster, keep=True).warnings
    assert warning.startswith("NetworkPolicy allow does not apply to the exposure pod")
    cluster.fails = lambda now, method, path: FORBIDDEN if path.startswith(policies) else ""
    assert check(cluster, keep=True).warnings == ()


def test_the_hint_is_the_command_with_keep() -> None:
    cluster = Cluster()
    add(cluster, "db", kind="StatefulSet", persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"})
    maps = (PortMap("", "", 3000, "80"),)
    hint = refused(cluster, ServiceKey("shop", "db"), maps=maps).hint
    assert hint.startswith("`kubectl localize expose shop/db --map=3000:80 --keep` leaves the pods as they are")
    command = refused(cluster, ServiceKey("shop", "db"), command=True).hint
    assert "`kubectl localize expose shop/db --keep -- COMMAND`" in command


def test_share_touches_no_workload_and_holds_the_service(cluster: Cluster) -> None:
    (plan,) = check(cluster, share=True).plans
    assert (plan.workloads, plan.switched, plan.failsafe, plan.labels) == ((), (), None, (("app", "cart"),))
    (one,) = journal_entries(plan, OWNER, NOW)
    assert (one.workload, one.replicas, one.selector) == (WorkloadRef("v1", "Service", "shop", "cart"), None, None)
    assert not any("scale" in line for line in describe(plan))


def test_share_needs_no_pods(cluster: Cluster) -> None:
    service(cluster, "empty", {"app": "none"})
    (plan,) = check(cluster, ServiceKey("shop", "empty"), share=True).plans
    assert plan.labels == (("app", "none"),)
    assert refused(cluster, ServiceKey("shop", "empty")).message.startswith("shop/empty has no pods")


def test_a_statefulsets_pod_takes_the_name_of_its_first_one() -> None:
    cluster = Cluster()
    add(cluster, "db", kind="StatefulSet", serviceName="db-peers")
    (plan,) = check(cluster, ServiceKey("shop", "db")).plans
    assert (plan.hostname, plan.subdomain) == ("db-0", "db-peers")


def per_pod(cluster: Cluster, *names: str) -> None:
    """A StatefulSet db of two; a Service for each of these pods, and one for all; the slices of all these."""
    add(cluster, "db", kind="StatefulSet", serviceName="db-peers")
    by_service = {"db": ["db-0", "db-1"], **{name: [name] for name in names}}
    for name in names:
        cluster.objects[f"{CORE}/pods/{name}"]["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name
        service(cluster, name, {"statefulset.kubernetes.io/pod-name": name})
    for name, pods in by_service.items():
        endpoints = [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": pod}} for pod in pods]
        labels = {"kubernetes.io/service-name": name}
        cluster.put(f"{SLICES}/{name}", {"metadata": {"labels": labels}, "endpoints": endpoints})


def test_the_pod_stands_in_for_the_ordinal_that_the_service_selects() -> None:
    cluster = Cluster()
    per_pod(cluster, "db-1")
    findings = check(cluster, ServiceKey("shop", "db-1"))
    (plan,) = findings.plans
    assert plan.hostname == "db-1"
    assert findings.warnings[0].startswith("scaling StatefulSet shop/db to zero also ends pod db-0, which")
    assert dict(plan.labels) == {"app": "db", "statefulset.kubernetes.io/pod-name": "db-1"}
    assert plan.found_by == ("db-1", "db")
    assert plan.replaced_pods == ("db-1", "db-0"), "all of them go, also those that the Service does not select"


def test_services_that_would_lose_their_last_endpoint_are_named() -> None:
    cluster = Cluster()
    per_pod(cluster, "db-0", "db-1")
    error = refused(cluster, ServiceKey("shop", "db-1"))
    assert error.message.startswith("shop/db-0 would lose its last endpoint: scaling StatefulSet shop/db to zero")
    assert "--keep" in error.hint
    forced = check(cluster, ServiceKey("shop", "db-1"), force=True)
    assert (forced.warnings[-1], forced.plans[0].hostname) == (error.message, "db-1")
    assert check(cluster, ServiceKey("shop", "db-1"), keep=True).plans
    first = refused(cluster, ServiceKey("shop", "db"))
    assert first.message.startswith("shop/db-1 would"), "the pod stands in for the first one, and has its label"


def test_labels_that_an_operator_gives_pods_count(cluster: Cluster) -> None:
    cluster.objects[f"{CORE}/pods/cart-1"]["metadata"]["labels"]["role"] = "primary"
    service(cluster, "cart-primary", {"app": "cart", "role": "primary"})
    (plan,) = check(cluster).plans
    assert plan.found_by == ("cart", "cart-primary")
    assert dict(plan.labels) == {"app": "cart", "role": "primary"}


def test_a_service_that_sends_to_pods_that_are_not_ready(cluster: Cluster) -> None:
    service(cluster, "peers", {"app": "cart"}, clusterIP="None", publishNotReadyAddresses=True)
    error = refused(cluster)
    assert error.message.startswith("shop/peers sends to pods that are not Ready")
    assert "--keep" in error.hint
    assert "shop/peers" in refused(cluster, ServiceKey("shop", "peers"), share=True).message
    assert check(cluster, force=True).warnings == (error.message,)
    assert check(cluster, ServiceKey("shop", "peers"), keep=True).plans
    assert check(cluster, WEB).plans


def test_pods_that_admission_refuses_by_now_would_not_come_back(cluster: Cluster) -> None:
    cluster.refuses = lambda body: "no more of these"
    error = refused(cluster)
    assert error.message.startswith("the pods of Deployment shop/cart would not come back: ")
    assert check(cluster, force=True).warnings == (error.message,)
    assert check(cluster, keep=True).plans


def test_the_pod_of_a_running_job_is_named_and_left_alone(cluster: Cluster) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "name": "migrate", "uid": "job-uid", "controller": True}
    cluster.put(
        f"{CORE}/pods/migrate-x7k2p", {"metadata": {"labels": {"app": "cart"}, "ownerReferences": [job]}, "spec": {}}
    )
    error = refused(cluster)
    assert "Job migrate (pod migrate-x7k2p)" in error.message
    assert ("--force" in error.hint, "--keep" in error.hint) == (True, True)
    forced = check(cluster, force=True)
    assert (forced.warnings, forced.plans[0].kept_pods) == ((error.message,), ("migrate-x7k2p",))
    assert [workload.ref.name for workload in forced.plans[0].workloads] == ["cart"]


def test_pods_that_end_and_exposure_pods_do_not_count(cluster: Cluster) -> None:
    cluster.put(f"{CORE}/pods/done", {"metadata": {"labels": {"app": "cart"}}, "status": {"phase": "Succeeded"}})
    going = {"labels": {"app": "cart"}, "deletionTimestamp": "2026-01-31T12:30:00Z"}
    cluster.put(f"{CORE}/pods/going", {"metadata": going})
    cluster.put(f"{CORE}/pods/localize-x", {"metadata": {"labels": {**labels("xyz98"), "app": "cart"}}})
    assert [one.ref.name for one in check(cluster).plans[0].workloads] == ["cart"]


# -- what speaks against it -------------------------------------------------------------------------------------------
def test_a_service_that_is_not_there_or_selects_nothing(cluster: Cluster) -> None:
    error = refused(cluster, ServiceKey("shop", "crt"))
    assert (error.message, error.hint) == ("there is no Service crt in namespace shop", "did you mean cart?")
    service(cluster, "manual", {})
    assert "has no selector" in refused(cluster, ServiceKey("shop", "manual")).message
    service(cluster, "outside", {}, type="ExternalName")
    assert "ExternalName" in refused(cluster, ServiceKey("shop", "outside")).message


def test_force_overrules_what_may_be_overruled_and_warns(cluster: Cluster) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart"}
    cluster.put(f"{HPA}/cart", {"spec": {"scaleTargetRef": target}})
    error = refused(cluster)
    assert "HorizontalPodAutoscaler cart" in error.message
    assert "--force" in error.hint
    assert check(cluster, force=True).warnings == (error.message,)


def test_force_does_not_overrule_the_loss_of_volumes() -> None:
    cluster = Cluster()
    add(cluster, "db", kind="StatefulSet", persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"})
    assert "volumes" in refused(cluster, ServiceKey("shop", "db"), force=True).message
    assert check(cluster, ServiceKey("shop", "db"), keep=True).plans


def test_a_colleague_who_was_first_is_named(cluster: Cluster) -> None:
    theirs = entry(session="xyz98", owner=replace(OWNER, user="bob", login="bob@desk"))
    write(cluster, theirs)
    error = refused(cluster, force=True)
    assert error.message.startswith("shop/cart is exposed already by bob (bob@desk), since 2026-01-31 12:30 UTC")
    assert error.hint.startswith("`kubectl localize expose --stop shop/cart` ends it")
    assert check(cluster, WEB).plans


def test_a_service_that_is_switched_has_to_find_its_pods_when_it_is_back(cluster: Cluster) -> None:
    service(cluster, "admin", {"app": "cart"}, 8081)
    ref = WorkloadRef("v1", "Service", "shop", "cart")
    theirs = entry(workload=ref, replicas=None, selector=(("app", "cart"),), session="xyz98")
    write(cluster, theirs)
    admin = ServiceKey("shop", "admin")
    assert refused(cluster, admin).message.startswith("shop/admin is exposed already (with shop/cart) by ada")
    assert check(cluster, admin, keep=True).plans, "whose pods go on"


@pytest.mark.parametrize(
    ("annotations", "selector"),
    [
        ({}, "KEY=VALUE"),
        ({LAST_APPLIED: "no JSON"}, "KEY=VALUE"),
        ({LAST_APPLIED: '{"spec": {"selector": {"app": "cart"}}}'}, "app=cart"),
    ],
)
def test_a_service_that_an_exposure_has_left_switched(
    cluster: Cluster, annotations: dict[str, str], selector: str
) -> None:
    ports = [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]
    spec = {"ports": ports, "selector": {"app": "localize-x7k2p4"}}
    cluster.put(f"{CORE}/services/cart", {"metadata": {"annotations": annotations}, "spec": spec})
    error = refused(cluster, keep=True)
    assert error.message == "shop/cart selects app=localize-x7k2p4, the pod of an exposure that is gone"
    assert error.hint.startswith(f"`kubectl set selector -n shop service/cart {selector}` makes")


# -- rights -----------------------------------------------------------------------------------------------------------
def all_but(*resources: str) -> list[dict[str, Any]]:
    every = (
        "services endpointslices pods pods/portforward secrets leases horizontalpodautoscalers deployments replicasets"
        " deployments/scale serviceaccounts roles rolebindings"
    )
    left = [one for one in every.split() if one not in resources]
    return [{"verbs": ["*"], "apiGroups": ["*"], "resources": left}]


def test_missing_rights_are_named_as_a_role_has_them(cluster: Cluster) -> None:
    cluster.rules = all_but("deployments/scale", "leases")
    with pytest.raises(ForbiddenError) as caught:
        check(cluster)
    assert caught.value.message == "you may not " + ", ".join(
        [
            f"{verb} leases.coordination.k8s.io in namespace shop"
            for verb in ("get", "list", "create", "update", "delete")
        ]
        + [f"{verb} deployments.apps/scale in namespace shop" for verb in ("get", "update")]
    )
    cluster.rules = all_but("deployments/scale")
    assert check(cluster, keep=True).plans


def test_without_the_right_to_make_a_failsafe_it_is_done_without_and_said(cluster: Cluster) -> None:
    cluster.rules = all_but("roles")
    found = check(cluster)
    assert found.plans[0].failsafe is None
    assert len(found.warnings) == 1
    assert "create roles.rbac.authorization.k8s.io in namespace shop" in found.warnings[0]
    given = check(cluster, failsafe_service_account="admins", failsafe_seconds=0.4).plans[0].failsafe
    assert given is not None
    assert (given.own, given.service_account, given.after_seconds) == (False, "admins", 1)
    off = check(cluster, failsafe_seconds=0)
    assert (off.plans[0].failsafe, off.warnings) == (None, ())


# -- at the same time --------------------------------------------------------------------------------------------------
def test_the_search_waits_for_no_list(cluster: Cluster) -> None:
    searched = asyncio.Event()

    class Slow:
        async def request(
            self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
        ) -> dict[str, Any]:
            if any(part in path for part in ("autoscalers", "/leases", "selfsubjectrulesreviews")):
                await searched.wait()
            if path.startswith(f"{APPS}/deployments/cart"):
                searched.set()
            return await cluster.request(method, path, body)

    cluster.api = Api(CONNECTION, Slow())
    assert asyncio.run(checks(cluster).run()).plans


def test_what_is_asked_for_meanwhile_ends_with_the_search(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    class Hanging:
        async def request(
            self, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0.0
        ) -> dict[str, Any]:
            if "/services" not in path and "reviews" not in path:
                try:
                    if "autoscalers" in path:
                        raise OSError("too many open files")
                    await asyncio.Event().wait()
                finally:
                    ended.append(path.rpartition("/")[2].partition("?")[0])
            return await cluster.request(method, path, body)

    async def story() -> None:
        cluster.api = Api(CONNECTION, Hanging())
        with pytest.raises(LocalizeError, match="there is no Service gone"):
            await checks(cluster, ServiceKey("shop", "gone")).run()
        assert ended == ["horizontalpodautoscalers", "leases", "endpointslices"]

    asyncio.run(story())
    gc.collect()
    assert not caplog.records  # `exception was never retrieved`


# -- local ports ------------------------------------------------------------------------------------------------------
def only(*ports: tuple[str, int]) -> Callable[[str, int], bool]:
    return lambda host, port: (host, port) in ports


def test_something_has_to_listen(cluster: Cluster) -> None:
    error = refused(cluster, listens=only())
    assert error.message == "nothing listens on 127.0.0.1:8080, where port 80 of shop/cart would lead"
    assert "--force" in error.hint
    forced = check(cluster, listens=only(), force=True)
    assert forced.plans
    assert [line.partition(":8080")[2].partition(":")[0] for line in forced.warnings] == [
        ", where port 80 of shop/cart leads"
    ]
    assert check(cluster, listens=only(), command=True).warnings == (), "it is not there yet"
    assert check(cluster, listens=lambda host, port: None).plans
    assert check(cluster, listens=only(("::1", 8080))).plans, "a dev server that takes localhost for ::1"


def test_a_service_that_is_served_in_part_is_exposed_and_the_other_port_is_named(cluster: Cluster) -> None:
    cluster.objects[f"{CORE}/services/cart"]["spec"]["ports"].append({"port": 81, "targetPort": 9100})
    (line,) = check(cluster, listens=only(("127.0.0.1", 8080))).warnings
    assert "127.0.0.1:9100, where port 81 of shop/cart leads" in line


def test_another_service_on_these_pods_that_nothing_would_serve_is_named(cluster: Cluster) -> None:
    service(cluster, "metrics", {"app": "cart"}, 9100)
    (line,) = check(cluster, listens=only(("127.0.0.1", 8080))).warnings
    assert line.startswith("nothing listens on 127.0.0.1:9100, where port 80 of shop/metrics leads")
    assert line.endswith("; --keep leaves these pods running")
    assert refused(cluster, ServiceKey("shop", "metrics"), listens=only(("127.0.0.1", 8080)))


def local(findings: Findings) -> list[str]:
    return [port.local for plan in findings.plans for port in plan.ports]


@pytest.mark.parametrize(
    "maps",
    [
        [PortMap("cart", "", 3000, ""), PortMap("shop/web", "::1", 4000, "80")],
        [PortMap("web", "::1", 4000, ""), PortMap("shop/cart", "127.0.0.1", 3000, "80")],
    ],
)
def test_maps_of_several_services_find_theirs(cluster: Cluster, maps: Sequence[PortMap]) -> None:
    assert local(check(cluster, CART, WEB, maps=tuple(maps))) == ["127.0.0.1:3000", "[::1]:4000"]


def test_maps_that_do_not_say_whose_they_are_or_name_another(cluster: Cluster) -> None:
    nameless = (PortMap("", "", 3000, ""),)
    assert local(check(cluster, maps=nameless)) == ["127.0.0.1:3000"]
    assert "does not say whose port it is" in refused(cluster, CART, WEB, maps=nameless).message
    assert "names web, which is not exposed" in refused(cluster, maps=(PortMap("web", "", 3000, ""),)).message
