"""Who has claimed what, and when a colleague's claim may be taken over."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kubectl_localize.cli.listing.claims import text_of
from kubectl_localize.cluster.exposing.claims import TAKE_OVER_SECONDS, against_taking_over, claims
from kubectl_localize.cluster.exposing.journal import manifest, parse
from kubectl_localize.cluster.exposing.values import FAILSAFE_CONTAINER
from tests.unit.supervisor.exposing.samples import NOW, OWNER, entry, exposure_pod

BOB = replace(OWNER, user="bob", login="bob@desk", machine="another")
THEIRS = entry(owner=BOB)
LATER = NOW + timedelta(seconds=TAKE_OVER_SECONDS)


def pod(*, ready: bool = False, namespace: str = "shop", said: str = "", failsafe: bool = True) -> dict[str, Any]:
    """An exposure pod of the session, with what its failsafe said at its end."""
    made = exposure_pod(ready)
    made["metadata"] |= {"name": "localize-cart-abc12", "namespace": namespace}
    made["spec"] = {"containers": [{"name": FAILSAFE_CONTAINER if failsafe else "sshd"}]}
    if said:
        status = {"name": FAILSAFE_CONTAINER, "state": {"terminated": {"message": said}}}
        made["status"]["containerStatuses"] = [status]
    return made


def test_ten_minutes_of_silence_are_needed() -> None:
    assert against_taking_over([THEIRS], [], NOW + timedelta(seconds=40)) == "last seen 40 s ago, and not 10 minutes"
    assert against_taking_over([THEIRS], [], LATER - timedelta(seconds=60)).startswith("last seen 9 minutes ago")
    assert against_taking_over([THEIRS], [], LATER) == ""
    heard = entry("web", owner=BOB, renewed=LATER)
    assert against_taking_over([THEIRS, heard], [], LATER) != "", "one journal of the session was renewed"


def test_a_clock_that_is_ahead_of_ours_is_no_silence() -> None:
    assert against_taking_over([replace(THEIRS, renewed=NOW + timedelta(hours=1))], [], LATER) != ""


def test_the_api_server_s_clock_counts_and_not_the_owner_s() -> None:
    lease = {**manifest(THEIRS)}
    lease["metadata"]["managedFields"] = [
        {"manager": "kubectl-localize", "time": "2026-01-31T12:00:00Z"},
        {"manager": "kubectl-localize", "time": "2026-01-31T12:40:30Z"},
        {"manager": "somebody"},
    ]
    read = parse(lease)
    assert read is not None
    assert read.seen == NOW + timedelta(minutes=10, seconds=30)
    assert against_taking_over([read], [], LATER) != ""
    assert against_taking_over([read], [], LATER + timedelta(minutes=11)) == ""


def test_a_pod_that_is_ready_proves_that_its_machine_answers() -> None:
    assert "localize-cart-abc12 is Ready" in against_taking_over([THEIRS], [pod(ready=True)], LATER)
    assert against_taking_over([THEIRS], [pod(ready=False)], LATER) == ""
    assert against_taking_over([THEIRS], [pod(ready=True, namespace="other")], LATER) == ""
    assert "you may not list pods" in against_taking_over([THEIRS], None, LATER)


@pytest.mark.parametrize(
    ("pods", "failsafe"),
    [
        (None, ""),
        ([], "off"),
        ([pod(failsafe=False)], "off"),
        ([pod()], "armed"),
        ([pod(said="fired 2026-01-31T12:31:00Z")], "fired 2026-01-31T12:31:00Z"),
    ],
)
def test_what_the_failsafe_did(pods: list[dict[str, Any]] | None, failsafe: str) -> None:
    (claim,) = claims([THEIRS], pods, LATER, machine="machine", uid=1000)
    assert claim.failsafe == failsafe


def test_what_is_listed() -> None:
    both = ("shop/cart", "shop/web")
    entries = [entry("web", services=both, replicas=1), entry(services=both), entry("db", session="xyz98", owner=BOB)]
    mine, theirs = claims(entries, [], LATER, machine=OWNER.machine, uid=OWNER.uid)
    assert (mine.here, theirs.here) == (True, False) or (mine.here, theirs.here) == (False, True)
    own = next(claim for claim in (mine, theirs) if claim.here)
    assert own.services == both
    assert sorted(own.workloads) == ["Deployment/cart (2)", "Deployment/web (1)"]
    assert own.against == "it is your own"


def test_the_table_and_what_scripts_read() -> None:
    listed = claims([THEIRS], [pod(said="fired 2026-01-31T12:31:00Z")], LATER, machine="machine", uid=1000)
    header, line = text_of(listed, "table").splitlines()
    assert header.split("  ")[0] == "NAMESPACE"
    for cell in (
        "shop",
        "cart",
        "Deployment/cart (2)",
        "bob (bob@desk)",
        "2026-01-31 12:30 UTC",
        "10m ago",
        "fired",
        "yes",
    ):
        assert cell in line
    document = json.loads(text_of(listed, "json"))
    assert document["kind"] == "ClaimList"
    assert document["items"][0]["takeOver"] is True
    assert document["items"][0]["lastSeen"] == "2026-01-31T12:30:00Z"
    assert text_of(listed, "name") == "shop/cart\n"
    assert "takeOver: true" in text_of(listed, "yaml")
    assert text_of([], "table") == ""


def test_words_of_others_are_one_line_and_bounded() -> None:
    loud = replace(BOB, user="b\x1b[31mob\n" + "x" * 5000)
    listed = claims([entry(owner=loud)], [pod(said="fired \x1b]0;title\x07")], LATER, machine="machine", uid=1000)
    _, line = text_of(listed, "table").splitlines()
    assert line.isprintable()
    assert len(line) < 1000
