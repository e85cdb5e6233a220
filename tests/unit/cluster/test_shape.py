"""In what an exposure pod follows the replaced pods, and in which order that is tried."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.pod import pod
from kubectl_localize.cluster.exposing.shape import (
    FAILSAFE,
    SSHD,
    PodShape,
    Resources,
    asked_for,
    followed_options,
    followed_uid,
    merged,
    parse_amounts,
    parse_pairs,
    shapes,
)
from kubectl_localize.model import PodOptions
from tests.unit.cluster.exposure_plan import ABOUT, plan
from tests.unit.cluster.exposure_plan import FAILSAFE as FAILSAFE_PLAN

THEIRS = {"requests": {"cpu": "1", "nvidia.com/gpu": "1"}, "limits": {"cpu": 2}}
NOTHING = (("cpu", "0"), ("memory", "0"))
TEMPLATE = {
    "metadata": {
        "labels": {"app": "cart", "team": "payments", "pod-template-hash": "1", "security.istio.io/tlsMode": "istio"},
        "annotations": {
            "example.com/cost-center": "42",
            "kubectl.kubernetes.io/restartedAt": "2026-01-31T12:00:00Z",
            "container.apparmor.security.beta.kubernetes.io/main": "unconfined",
        },
    },
    "spec": {
        "containers": [{"name": "proxy"}, {"name": "main", "ports": [{"containerPort": 8080}], "resources": THEIRS}]
    },
}


def like_them(**changes: Any) -> list[PodShape]:
    return list(shapes(plan(replaced=TEMPLATE, selected_keys=frozenset({"app"}), **changes)))


def test_it_follows_in_one_thing_more_each_time() -> None:
    ours, sshd, both, labelled, probed = like_them()
    assert (ours.sshd, ours.failsafe, ours.labels, ours.probes) == (SSHD, FAILSAFE, {}, False)
    assert sshd.sshd == Resources({"memory": "16Mi", "cpu": "1"}, {"memory": "256Mi", "cpu": "2"})
    assert sshd.failsafe == FAILSAFE
    assert both.failsafe == Resources({"memory": "16Mi", "cpu": "1"}, {"memory": "64Mi", "cpu": "2"})
    assert labelled.labels == {"team": "payments"}, "a Service may select by the other one, and hashes mean nothing"
    assert labelled.annotations == {"example.com/cost-center": "42"}
    assert (probed.probes, probed.labels) == (True, {"team": "payments"})


def test_what_a_running_pod_has_counts_more_than_the_template() -> None:
    spec = {"containers": [{"name": "main", "resources": {"limits": {"memory": "64Mi"}}}]}  # a LimitRange's default
    shape = like_them(example_spec=spec)[1]
    assert shape.sshd == Resources({"cpu": "10m"}, {"cpu": "1", "memory": "64Mi"})


def test_a_pod_without_anything_leaves_little_to_follow() -> None:
    assert [shape.probes for shape in shapes(plan())] == [False, True]


def test_the_probed_pod_has_both_probes_everywhere() -> None:
    given = plan(failsafe=FAILSAFE_PLAN)
    made = pod(given, name="x", nonce="n", secret_name="s", secret_uid="u", about=ABOUT, shape=PodShape(probes=True))
    for container in made["spec"]["containers"]:
        assert {"livenessProbe", "readinessProbe"} <= container.keys()
    for container in pod(given, name="x", nonce="n", secret_name="s", secret_uid="u", about=ABOUT)["spec"][
        "containers"
    ]:
        assert "livenessProbe" not in container


def test_other_objects_get_labels_that_no_service_selects_by() -> None:
    asked = PodOptions(labels=(("team", "mine"),), annotations=(("a", "b"),))
    options = followed_options(plan(replaced=TEMPLATE, selected_keys=frozenset({"app"}), options=asked))
    assert options.labels == (("team", "mine"),)
    assert options.annotations == (("example.com/cost-center", "42"), ("a", "b"))


def test_the_user_that_the_replaced_pod_runs_as() -> None:
    assert followed_uid(plan()) == 0
    assert followed_uid(plan(example_spec={"containers": [{}], "securityContext": {"runAsUser": 10001}})) == 10001
    container = {"securityContext": {"runAsUser": 10002}}
    assert followed_uid(plan(example_spec={"containers": [container], "securityContext": {"runAsUser": 1}})) == 10002


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (PodOptions(), SSHD),
        (PodOptions(limits=(("memory", "32Mi"),)), Resources(SSHD.requests, {"cpu": "1", "memory": "32Mi"})),
        (PodOptions(limits=(("memory", "8Mi"),)),
         Resources({"cpu": "10m", "memory": "8Mi"}, {"cpu": "1", "memory": "8Mi"})),
        (PodOptions(requests=(("memory", "1Gi"),)),
         Resources({"cpu": "10m", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"})),
        (PodOptions(requests=NOTHING, limits=NOTHING), Resources({}, {})),
        (PodOptions(limits=(("ephemeral-storage", "1Gi"),)),
         Resources(SSHD.requests, {**SSHD.limits, "ephemeral-storage": "1Gi"})),
        (PodOptions(requests=(("cpu", "2"),), limits=(("cpu", "1"),)),  # the API server says what is wrong with it
         Resources({"cpu": "2", "memory": "16Mi"}, SSHD.limits)),
    ],
)  # fmt: skip
def test_flags_change_what_they_name(options: PodOptions, expected: Resources) -> None:
    assert asked_for(SSHD, options) == expected


def test_flags_win_over_what_is_followed() -> None:
    options = PodOptions(limits=(("cpu", "3"),))
    assert all(shape.sshd.limits["cpu"] == "3" for shape in like_them(options=options))
    assert merged(SSHD, Resources({}, {})) == SSHD


def test_resources_without_amounts_are_left_out() -> None:
    assert Resources({}, {"cpu": "1"}).manifest() == {"limits": {"cpu": "1"}}


def test_how_pairs_are_typed() -> None:
    assert parse_amounts("cpu=100m,memory=64Mi,cpu=1") == (("cpu", "1"), ("memory", "64Mi"))
    assert parse_pairs("team=a,example.com/b=c=d,empty=") == (("team", "a"), ("example.com/b", "c=d"), ("empty", ""))


@pytest.mark.parametrize(
    ("text", "words"),
    [("cpu", "KEY=VALUE"), ("", "KEY=VALUE"), ("gpu=1", "'gpu' is none of cpu"), ("cpu=much", "'much' is no amount")],
)
def test_what_is_no_amount(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_amounts(text)
