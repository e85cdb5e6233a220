"""By which labels Services find an exposure pod."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cluster.exposing.labels import joined, matching, pod_labels, selected_keys
from kubectl_localize.errors import LocalizeError


def service(name: str, **selector: str) -> dict[str, Any]:
    """A Service of the namespace shop."""
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": [], "selector": selector}}


def labelled(**labels: str) -> dict[str, Any]:
    """A pod template with these labels."""
    return {"metadata": {"labels": labels}, "spec": {"containers": []}}


def test_services_match_by_their_whole_selector() -> None:
    external = service("away", app="cart")
    external["spec"]["type"] = "ExternalName"
    services = [service("cart", app="cart"), service("v1", app="cart", version="1"), service("none"), external]
    assert [one["metadata"]["name"] for one in matching(services, {"app": "cart", "tier": "back"})] == ["cart"]
    assert [one["metadata"]["name"] for one in matching(services, {"app": "cart", "version": "1"})] == ["cart", "v1"]
    assert matching([{"metadata": {}, "spec": {"selector": None}}], {}) == []


def test_the_pod_has_the_labels_without_the_hashes() -> None:
    hashes = {
        "pod-template-hash": "1", "controller-revision-hash": "1", "pod-template-generation": "1",
        "statefulset.kubernetes.io/pod-name": "db-0", "apps.kubernetes.io/pod-index": "0",
    }  # fmt: skip
    labels = {"app": "cart", "tier": "back"}
    assert pod_labels([labelled(**labels, **hashes)], [service("cart", app="cart")]) == labels
    assert pod_labels([{"spec": {}}], [service("cart", app="cart")]) == {"app": "cart"}


def test_what_services_select_by_is_added() -> None:
    first, second = labelled(app="cart", tier="back"), labelled(app="cart", group="shop")
    services = [service("cart", app="cart"), service("all", group="shop"), service("first", pod="db-0")]
    assert pod_labels([first, second], services) == {"app": "cart", "tier": "back", "group": "shop", "pod": "db-0"}


def test_a_service_that_would_lose_its_endpoint_is_named() -> None:
    templates = [labelled(app="cart", version="1"), labelled(app="cart", version="2")]
    services = [service("cart", app="cart"), service("v1", version="1"), service("v2", app="cart", version="2")]
    assert pod_labels(templates, services[:2]) == {"app": "cart", "version": "1"}
    with pytest.raises(LocalizeError, match="shop/v2 would lose its endpoint: it selects version=2") as error:
        pod_labels(templates, services)
    assert "--keep" in error.value.hint


def test_other_services_find_the_pod_as_far_as_they_do_not_contradict() -> None:
    first, second = labelled(app="cart", pod="1"), labelled(app="cart", pod="0", role="primary")
    services = [
        service("zero", pod="0"),
        service("one", pod="1"),
        service("primary", role="primary"),
        service("x", a="b"),
    ]
    labels, finding = joined({"app": "cart"}, [first, second], services)
    assert labels == {"app": "cart", "pod": "1", "role": "primary"}
    assert [item["metadata"]["name"] for item in finding] == ["one", "primary"], "what finds the first pod goes first"


def test_the_keys_that_services_select_by() -> None:
    external = service("away", outside="yes")
    external["spec"]["type"] = "ExternalName"
    assert selected_keys([service("cart", app="cart", tier="back"), service("none"), external]) == {"app", "tier"}


LABELS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@given(LABELS, st.lists(LABELS, max_size=4))
def test_every_service_finds_the_pod_or_is_refused(labels: dict[str, str], selectors: list[dict[str, str]]) -> None:
    services = [service(f"s{number}", **selector) for number, selector in enumerate(selectors)]
    try:
        found = pod_labels([labelled(**labels)], services)
    except LocalizeError:
        assert any(len({one.get(key) for one in [labels, *selectors] if key in one}) > 1 for key in "abcd")
    else:
        assert labels.items() <= found.items()
        assert matching(services, found) == [one for one in services if one["spec"]["selector"]]
