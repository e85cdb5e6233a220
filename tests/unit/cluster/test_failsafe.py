"""The failsafe's manifests, and what is read of it in the pod."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.values import SwitchedService, WorkloadRef
from tests.unit.cluster.exposure_plan import ABOUT, FAILSAFE, SECRET, plan

PLAN = plan(failsafe=FAILSAFE)
SCALE = "/apis/apps/v1/namespaces/shop/deployments/cart/scale"


# -- its manifests -----------------------------------------------------------------------------------------------------


def test_its_token_is_mounted_there_alone() -> None:
    account, state = failsafe.volumes()
    token, authority = account["projected"]["sources"]
    assert token == {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}
    assert authority["configMap"]["name"] == "kube-root-ca.crt"
    assert "emptyDir" in state
    mounts = {mount["name"] for mount in failsafe.container(PLAN, "n0nce")["volumeMounts"]}
    assert mounts == {account["name"], state["name"]}


def test_its_rights_are_the_scale_of_these_workloads() -> None:
    assert failsafe.role(PLAN, ABOUT, SECRET)["rules"] == [
        {
            "apiGroups": ["apps"],
            "resources": ["deployments/scale"],
            "resourceNames": ["cart"],
            "verbs": ["get", "update"],
        }
    ]


def test_with_switched_services_it_may_patch_these_and_is_told_how_to_put_each_key_back() -> None:
    ref = WorkloadRef("v1", "Service", "shop", "cart")
    service = SwitchedService(ref, "7c7c", "1", (("app.kubernetes.io/name", "cart"), ("tier", "front")))
    switched = plan(workloads=(), switched=(service,), failsafe=replace(FAILSAFE, targets=()))
    rule = {"apiGroups": [""], "resources": ["services"], "resourceNames": ["cart"], "verbs": ["patch"]}
    assert failsafe.role(switched, ABOUT, SECRET)["rules"] == [rule]
    targets = failsafe.container(switched, "n0nce")["command"][8:]
    paths, patches = zip(*(target.split("=") for target in targets), strict=True)
    assert set(paths) == {"/api/v1/namespaces/shop/services/cart"}
    assert [json.loads(patch) for patch in patches] == [
        [
            {"op": "test", "path": f"/spec/selector/{key}", "value": "localize-abc12"},
            {"op": "replace", "path": f"/spec/selector/{key}", "value": value},
        ]
        for key, value in (("app.kubernetes.io~1name", "cart"), ("tier", "front"))
    ]


def test_account_role_and_binding_belong_together_and_to_the_secret() -> None:
    account = failsafe.service_account(PLAN, ABOUT, SECRET)
    role = failsafe.role(PLAN, ABOUT, SECRET)
    binding = failsafe.role_binding(PLAN, ABOUT, SECRET)
    name = failsafe.account_name("abc12")
    assert {made["metadata"]["name"] for made in (account, role, binding)} == {name}
    assert binding["roleRef"]["name"] == name
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": name, "namespace": "shop"}]
    for made in (account, role, binding):
        assert made["metadata"]["ownerReferences"][0]["uid"] == SECRET[1]
        assert made["metadata"]["labels"]["kubectl-localize/session"] == "abc12"


def test_it_watches_the_first_port_and_knows_where_to_tell_of_its_proof_and_what_to_bring_back() -> None:
    command = failsafe.container(PLAN, "n0nce")["command"]
    assert command[4:] == ["600", "300", failsafe.listens(8080), "http://localhost:2223/proven/n0nce", f"{SCALE}=2"]


# -- what is read of it ------------------------------------------------------------------------------------------------


def pod(**status: Any) -> dict[str, Any]:
    others = [{"name": "sshd", "started": True, "state": {"terminated": {"message": "fired nothing"}}}]
    return {"status": {"containerStatuses": [*others, {"name": "failsafe", **status}]}}


def test_it_has_fired_when_it_said_so_before_and_after_its_restart() -> None:
    ended = {"terminated": {"exitCode": 0, "message": "fired 2026-01-31T12:00:00Z\n"}}
    running = {"running": {"startedAt": "2026-01-31T12:00:01Z"}}
    assert failsafe.fired(pod(state=ended, lastState={})) == "fired 2026-01-31T12:00:00Z"
    assert failsafe.fired(pod(state=running, lastState=ended)) == "fired 2026-01-31T12:00:00Z"
    assert failsafe.fired(pod(state=running, lastState={})) == ""
    assert failsafe.problem(pod(state=running, lastState=ended)) == ""
    assert failsafe.fired({}) == ""


def test_its_problem_is_what_it_said_last_or_what_keeps_it_from_starting() -> None:
    refused = {"terminated": {"exitCode": 1, "message": f"{SCALE}: curl: (22) … error: 403"}}
    back_off = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
    assert "403" in failsafe.problem(pod(state=refused, lastState={}))
    assert "403" in failsafe.problem(pod(state=back_off, lastState=refused))
    no_image = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    assert failsafe.problem(pod(state=no_image, lastState={})) == "not found"
    assert failsafe.problem(pod(state={"waiting": {"reason": "ContainerCreating"}}, lastState={})) == ""
    assert failsafe.problem(pod(state={"running": {}}, lastState=refused)) == ""  # it tries once more
    assert failsafe.problem({"status": {}}) == ""
