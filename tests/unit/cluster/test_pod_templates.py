"""A template from pods: what of them holds for the exposure pod, and what binds them to their node."""

from __future__ import annotations

from typing import Any

from kubectl_localize.cluster.exposing.pod_templates import REQUIRED, as_template

ZONE = {"key": "zone", "operator": "In", "values": ["a"]}
NODE = {"key": "metadata.name", "operator": "In", "values": ["node-1"]}


def pod(**node_affinity: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "main"}], "affinity": {"nodeAffinity": node_affinity}}
    return {"metadata": {"name": "agent", "labels": {"app": "agent"}}, "spec": spec}


def test_without_pods_it_has_what_is_selected() -> None:
    assert as_template([], {"app": "web"}) == {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}


def test_the_first_pod_counts() -> None:
    first = pod(**{REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [ZONE]}]}})
    assert as_template([first, pod()], {})["spec"] == first["spec"]


def test_a_daemon_sets_pod_is_not_followed_to_its_node() -> None:
    bound = pod(**{REQUIRED: {"nodeSelectorTerms": [{"matchFields": [NODE], "matchExpressions": [ZONE]}]}})
    node_affinity = as_template([bound], {})["spec"]["affinity"]["nodeAffinity"]
    assert node_affinity[REQUIRED] == {"nodeSelectorTerms": [{"matchExpressions": [ZONE]}]}
    bound = pod(**{REQUIRED: {"nodeSelectorTerms": [{"matchFields": [NODE]}]}})
    assert as_template([bound], {})["spec"]["affinity"]["nodeAffinity"][REQUIRED] is None
