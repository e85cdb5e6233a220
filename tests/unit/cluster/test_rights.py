"""Which rights are needed, and which of them a user lacks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_localize.cluster.exposing.rights import KINDS, WARNED_BY, Right, describe, granted, missing, needed, who
from kubectl_localize.errors import KubectlError, UnreachableError
from tests.unit.cluster import samples
from tests.unit.fakes.requests import FORBIDDEN, NOT_FOUND, Answer, Answering

RBAC = Path(__file__).parents[3] / "docs" / "rbac.yaml"
RULES, ONE = "selfsubjectrulesreviews", "selfsubjectaccessreviews"

GET_PODS = Right("get", "", "pods")
FORWARD = Right("create", "", "pods", "portforward")
SCALE = Right("update", "apps", "deployments", "scale")


def rule(verbs: str, groups: str, resources: str, **more: Any) -> dict[str, Any]:
    """One of a SelfSubjectRulesReview; words are separated by blanks, `core` is the group without a name."""
    named = [group.replace("core", "") for group in groups.split()]
    return {"verbs": verbs.split(), "apiGroups": named, "resources": resources.split(), **more}


class Server:
    """Grants these rules in its review; what `really` says of each single right is its last word."""

    def __init__(self, *rules: dict[str, Any], really: frozenset[Right] = frozenset(), review: str = "") -> None:
        self.asked: list[Right] = []
        self._rules, self._really, self._review = rules, really, review
        self.stage = Answering(self._answer)

    def _answer(self, path: str, body: Any) -> Answer:
        if path.endswith(RULES):
            assert body["spec"] == {"namespace": "shop"}
            return self._review or {**body, "status": {"resourceRules": list(self._rules), "incomplete": True}}
        assert path == f"/apis/authorization.k8s.io/v1/{ONE}"
        attributes = body["spec"]["resourceAttributes"]
        assert attributes.pop("namespace") == "shop"
        right = Right(**attributes)
        self.asked.append(right)
        return {**body, "status": {"allowed": right in self._really}}

    def missing(self, *rights: Right) -> list[Right]:
        async def run() -> list[Right]:
            return await missing(self.stage.api, "shop", rights, await granted(self.stage.api, "shop"))

        return asyncio.run(run())


@pytest.mark.parametrize(
    ("rules", "lacking"),
    [
        (rule("get create", "core", "pods pods/portforward"), [SCALE]),
        (rule("*", "*", "*"), []),
        (rule("get", "*", "*"), [FORWARD, SCALE]),
        (rule("*", "core", "*"), [SCALE]),
        (rule("*", "core", "pods"), [FORWARD, SCALE]),
        (rule("*", "apps", "*/scale"), [GET_PODS, FORWARD]),
        (rule("*", "core", "*/scale"), [GET_PODS, FORWARD, SCALE]),
        (rule("*", "apps", "deployments"), [GET_PODS, FORWARD, SCALE]),
        (rule("update", "apps", "deployments/scale", resourceNames=["cart"]), [GET_PODS, FORWARD, SCALE]),
        (rule("*", "*", "*", resourceNames=[]), []),
    ],
)
def test_what_the_rules_grant(rules: dict[str, Any], lacking: list[Right]) -> None:
    server = Server(rules)
    assert server.missing(GET_PODS, FORWARD, SCALE) == lacking
    assert server.asked == lacking


def test_rights_may_come_from_several_rules() -> None:
    server = Server(rule("get", "core", "pods"), rule("update", "apps", "deployments/scale"))
    assert server.missing(GET_PODS, FORWARD, SCALE) == [FORWARD]


def test_the_review_may_be_incomplete() -> None:
    server = Server(really=frozenset({GET_PODS, SCALE}))
    assert server.missing(GET_PODS, FORWARD, SCALE) == [FORWARD]
    assert server.asked == [GET_PODS, FORWARD, SCALE]
    assert 1 < server.stage.at_once <= 8


@pytest.mark.parametrize("refusal", [FORBIDDEN, NOT_FOUND])
def test_without_a_review_each_right_is_asked_for(refusal: str) -> None:
    server = Server(really=frozenset({FORWARD}), review=refusal)
    assert server.missing(GET_PODS, FORWARD) == [GET_PODS]


def test_a_server_that_does_not_answer_is_no_lack_of_rights() -> None:
    with pytest.raises(UnreachableError):
        Server(review=samples.NO_ANSWER).missing(GET_PODS)


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (FORWARD, "create pods/portforward in namespace shop"),
        (SCALE, "update deployments.apps/scale in namespace shop"),
        (Right("delete", "coordination.k8s.io", "leases"), "delete leases.coordination.k8s.io in namespace shop"),
    ],
)
def test_a_right_in_words(right: Right, words: str) -> None:
    assert describe(right, "shop") == words


# -- what is needed ---------------------------------------------------------------------------------------------------
def words(
    *, command: bool = False, failsafe: bool = False, kinds: tuple[str, ...] = (), switch: bool = False
) -> set[str]:
    rights = needed(command, failsafe, kinds, switch)
    return {describe(right, "")[: -len(" in namespace ")] for right in rights}


def test_a_command_needs_to_read_what_its_container_reads() -> None:
    assert words(command=True) - words() == {"get secrets", "get configmaps"}


def test_only_the_kinds_in_use_are_needed() -> None:
    assert words(kinds=("Deployment",)) - words() == {
        "list horizontalpodautoscalers.autoscaling",
        "get deployments.apps", "get replicasets.apps", "get deployments.apps/scale", "update deployments.apps/scale"
    }  # fmt: skip
    assert words(kinds=("ReplicationController",)) - words() == {
        "list horizontalpodautoscalers.autoscaling",
        "get replicationcontrollers", "get replicationcontrollers/scale", "update replicationcontrollers/scale"
    }  # fmt: skip


def test_a_switch_needs_to_patch_services() -> None:
    assert words(switch=True) - words() == {"patch services"}


def test_a_failsafe_of_our_own_is_optional() -> None:
    assert words(failsafe=True) - words() == {
        f"{verb} {resource}"
        for verb in ("get", "create", "delete")
        for resource in ("serviceaccounts", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io")
    }
    assert {right.resource for right in needed(True, True, KINDS) if right.optional} == {
        "serviceaccounts", "roles", "rolebindings"
    }  # fmt: skip


@pytest.mark.parametrize("command", [True, False])
@pytest.mark.parametrize("failsafe", [True, False])
def test_each_right_is_named_once_and_has_a_reason(command: bool, failsafe: bool) -> None:
    rights = needed(command, failsafe, KINDS, switch=True)
    assert len(set(rights)) == len(rights)
    assert all(right.why for right in rights)


def documents() -> dict[tuple[str, str], dict[str, Any]]:
    """What docs/rbac.yaml makes, by kind and name."""
    with RBAC.open() as stream:
        return {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(stream)}


def test_the_role_in_the_docs_is_what_is_needed_a_rule_for_each_resource() -> None:
    rules = documents()["Role", "kubectl-localize-expose"]["rules"]
    assert all(len(one["apiGroups"]) == len(one["resources"]) == 1 and not one.get("resourceNames") for one in rules)
    granted = [
        Right(verb, one["apiGroups"][0], *one["resources"][0].split("/"))
        for one in rules
        for verb in one["verbs"]
    ]  # fmt: skip
    assert len({(right.group, right.of) for right in granted}) == len(rules)
    assert sorted(granted) == sorted([*needed(True, True, KINDS, True), *WARNED_BY])


def test_the_failsafe_in_the_docs_may_bring_back_some_workloads_and_services_and_nothing_else() -> None:
    found = documents()
    rules = found["Role", "kubectl-localize-failsafe"]["rules"]
    assert {(*one["resources"], *one["verbs"]) for one in rules} == {
        ("deployments/scale", "get", "update"), ("services", "patch")
    }  # fmt: skip
    assert all(one["resourceNames"] for one in rules)
    binding = found["RoleBinding", "kubectl-localize-failsafe"]
    account = found["ServiceAccount", "kubectl-localize-failsafe"]["metadata"]
    assert binding["roleRef"]["name"] == "kubectl-localize-failsafe"
    assert [(one["namespace"], one["name"]) for one in binding["subjects"]] == [(account["namespace"], account["name"])]


# -- who --------------------------------------------------------------------------------------------------------------
BOB = {"status": {"userInfo": {"username": "bob", "groups": ["system:authenticated"]}}}


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        ({"v1": BOB}, "bob"),
        ({"v1": NOT_FOUND, "v1beta1": BOB}, "bob"),
        ({"v1": NOT_FOUND, "v1beta1": NOT_FOUND}, ""),
        ({"v1": FORBIDDEN, "v1beta1": FORBIDDEN}, ""),
        ({"v1": {"status": {}}}, ""),
    ],
)
def test_who_it_is(answers: dict[str, Answer], name: str) -> None:
    def answer(path: str, body: Any) -> Answer:
        version = path.split("/")[3]
        assert path == f"/apis/authentication.k8s.io/{version}/selfsubjectreviews"
        assert body == {"apiVersion": f"authentication.k8s.io/{version}", "kind": "SelfSubjectReview"}
        return answers[version]

    assert asyncio.run(who(Answering(answer).api)) == name


def test_who_it_is_when_nobody_answers() -> None:
    with pytest.raises(KubectlError):
        asyncio.run(who(Answering(lambda path, _: samples.CLOSED_PORT).api))
