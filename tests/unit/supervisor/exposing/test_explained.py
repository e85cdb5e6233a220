"""What a user reads when an exposure pod does not come about."""

from __future__ import annotations

import pytest

from kubectl_localize.errors import InvalidError
from kubectl_localize.supervisor.exposing.explained import not_in_time, refused

EVENTS = "`kubectl get events -n shop --field-selector involvedObject.name=localize-web-abc12` may say more"
LATE = "exposure pod localize-web-abc12 was not Ready in time"


@pytest.mark.parametrize(
    ("why", "problem", "message", "hint"),
    [
        ("", "", LATE, EVENTS),
        ("", "0/1 nodes are available", f"{LATE}: 0/1 nodes are available", EVENTS),
        (
            "",
            "sshd: ImagePullBackOff: not found",
            f"{LATE}: sshd: ImagePullBackOff: not found",
            "--image and --image-pull-secret name another image",
        ),
        (
            "",
            "the failsafe cannot scale the workload: no rights",
            f"{LATE}: the failsafe cannot scale the workload: no rights",
            "--failsafe off goes without it, --failsafe-service-account names one that may",
        ),
        ("nothing listens on 127.0.0.1:3000", "", "nothing listens on 127.0.0.1:3000", ""),
    ],
)
def test_what_did_not_come_about(why: str, problem: str, message: str, hint: str) -> None:
    error = not_in_time("localize-web-abc12", "shop", "Ready", why=why, problem=problem)
    assert (error.message, error.hint) == (f"{message}; everything is put back", hint)


def test_what_the_api_server_objects_to() -> None:
    error = refused(InvalidError("exceeded quota: pods"), "shop")
    assert error.message == "namespace shop does not take an exposure pod: exceeded quota: pods"
    assert "--image" in error.hint
