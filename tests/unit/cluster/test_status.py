"""What the status of an exposure pod is taken for; the samples are from pods of Kubernetes 1.35, shortened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubectl_localize.cluster.exposing.blockers import KEEP
from kubectl_localize.cluster.exposing.status import Trouble, is_lost, is_running, not_in_time, trouble

STARTED = {"startedAt": "2026-11-23T06:20:00Z"}
SSHD = {"name": "sshd", "ready": True, "restartCount": 0, "started": True, "state": {"running": STARTED}}
CREATING = {"name": "sshd", "ready": False, "started": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
PULLING = {
    "name": "sshd",
    "image": "example.com/sshd:1",
    "ready": False,
    "state": {
        "waiting": {
            "reason": "ImagePullBackOff",
            "message": 'Back-off pulling image "example.com/sshd:1": not found',
        }
    },
}
FIRST_PULL = {
    "name": "sshd",
    "image": "example.com/sshd:1",
    "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
}
CRASHED = {
    "name": "sshd",
    "restartCount": 1,
    "state": {"running": STARTED},
    "lastState": {"terminated": {"exitCode": 255, "reason": "Error", "message": "no hostkeys available"}},
}
UNPROVEN = {
    "name": "failsafe",
    "started": False,
    "state": {"terminated": {"exitCode": 1, "message": "it may not scale deployments/cart\n"}},
}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}

UNTAKEN = "no node takes the exposure pod"
ALONE = "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules."


def status(*containers: dict[str, Any], phase: str = "Pending", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "x"}, "status": {"phase": phase, "containerStatuses": list(containers), **more}}


@pytest.mark.parametrize(
    ("pod", "why", "hopeless"),
    [
        ({"metadata": {}}, "", False),
        (status(SSHD, phase="Running"), "", False),
        (status(CREATING), "", False),
        (status(FIRST_PULL), "example.com/sshd:1 cannot be pulled: not found", False),
        (status(PULLING), "example.com/sshd:1 cannot be pulled: not found", True),
        (status(CRASHED, phase="Running"), "sshd ended with exit code 255 no hostkeys available", False),
        (status(conditions=[UNSCHEDULABLE]), f"{UNTAKEN}: 0/1 nodes are available: 1 Insufficient cpu.", False),
        (status(conditions=[{**UNSCHEDULABLE, "message": ALONE}]), f"{UNTAKEN}: {ALONE}", True),
        (
            status(SSHD, UNPROVEN, phase="Running"),
            "the failsafe could not bring back what it guards: it may not scale deployments/cart",
            True,
        ),
        (
            status(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
            "Evicted: The node was low on resource: memory.",
            True,
        ),
        (status(phase="Failed"), "it has failed", True),
    ],
)
def test_why_a_pod_does_not_start(pod: dict[str, Any], why: str, hopeless: bool) -> None:
    assert trouble(pod)[:2] == (why, hopeless)


@pytest.mark.parametrize(
    ("judge", "pod", "answer"),
    [
        (is_running, status(SSHD), True),
        (is_running, status(CREATING), False),
        (is_running, status({**SSHD, "name": "failsafe"}), False),
        (is_running, {"metadata": {}}, False),
        (is_lost, None, True),
        (is_lost, {"metadata": {"deletionTimestamp": "2026-11-23T06:20:00Z"}}, True),
        (is_lost, status(phase="Failed"), True),
        (is_lost, status(phase="Succeeded"), True),
        (is_lost, status(SSHD, phase="Running"), False),
        (is_lost, status(phase="Unknown"), False),
        (is_lost, {"metadata": {}}, False),
    ],
)
def test_whether_it_runs_and_whether_it_is_lost(judge: Callable[[Any], bool], pod: Any, answer: bool) -> None:
    assert judge(pod) is answer


EVENTS = "`kubectl get events -n shop --field-selector involvedObject.name=localize-web-abc12` may say more"
LATE = "exposure pod localize-web-abc12 was not Ready in time"


@pytest.mark.parametrize(
    ("problem", "message", "hint"),
    [
        (Trouble("", False), LATE, EVENTS),
        (Trouble("0/1 nodes are available", False), f"{LATE}: 0/1 nodes are available", EVENTS),
        (
            Trouble("example.com/sshd:1 cannot be pulled", True, "--image"),
            "example.com/sshd:1 cannot be pulled",
            "--image",
        ),
    ],
)
def test_what_did_not_come_about(problem: Trouble, message: str, hint: str) -> None:
    error = not_in_time("localize-web-abc12", "shop", "Ready", problem=problem)
    assert (error.message, error.hint) == (message, hint)


def test_what_helps_a_pod_that_no_node_takes() -> None:
    assert KEEP in trouble(status(conditions=[{**UNSCHEDULABLE, "message": ALONE}])).hint
    assert trouble(status(conditions=[UNSCHEDULABLE])).hint.startswith("--requests asks for less")
    assert trouble(status(conditions=[{**UNSCHEDULABLE, "message": "untolerated taint"}])).hint == ""


def test_what_helps_a_failsafe_without_rights() -> None:
    assert trouble(status(SSHD, UNPROVEN, phase="Running")).hint.startswith("--failsafe off goes without it")


def test_a_cause_that_is_told_only_once_is_remembered() -> None:
    first, bare = Trouble("x cannot be pulled: no such host", False, "h"), Trouble("x cannot be pulled", True, "other")
    assert bare.with_what_was_known(first) == Trouble(first.text, True, "h")
    for other in (Trouble("", False), Trouble("sshd ended with exit code 1", False)):
        assert other.with_what_was_known(first) == other
