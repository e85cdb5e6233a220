"""What a selector is switched to and how it is put back, whatever others make of it meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cluster.exposing import selectors
from kubectl_localize.cluster.exposing.selectors import is_marked, mark, put_back, switched, words

ORIGINAL = {"app.kubernetes.io/name": "web", "tier": "front"}
OURS = {"app.kubernetes.io/name": "localize-abc12", "tier": "localize-abc12"}
SELECTORS = st.dictionaries(st.text("abc./", min_size=1), st.text("abc"), min_size=1)


def test_every_key_is_the_sessions_so_that_a_merge_puts_all_of_it_back() -> None:
    assert switched(ORIGINAL, "abc12") == OURS
    assert is_marked(OURS, "abc12")
    assert not is_marked(OURS, "xyz98")
    assert {**OURS, **ORIGINAL} == ORIGINAL, "what kubectl apply and helm make of it"


def test_a_key_that_a_controller_watches_over_keeps_its_value() -> None:
    by_rollouts = {"app": "web", "rollouts-pod-template-hash": "5d8f"}
    assert switched(by_rollouts, "abc12") == {**by_rollouts, "app": "localize-abc12"}
    promoted = {"app": "localize-abc12", "rollouts-pod-template-hash": "77aa"}
    assert put_back(promoted, by_rollouts, "abc12") == {**by_rollouts, "rollouts-pod-template-hash": "77aa"}
    alone = {"rollouts-pod-template-hash": "5d8f"}
    assert switched(alone, "abc12") == {"rollouts-pod-template-hash": "localize-abc12"}


@given(SELECTORS)
def test_there_and_back(selector: dict[str, str]) -> None:
    there = switched(selector, "abc12")
    assert set(there.values()) == {mark("abc12")}
    assert put_back(there, selector, "abc12") == selector


@pytest.mark.parametrize(
    ("current", "wanted"),
    [
        (ORIGINAL, ORIGINAL),
        ({"app": "other"}, {"app": "other"}),
        ({}, {}),
        ({**OURS, "rollouts-pod-template-hash": "5d8f"}, {**ORIGINAL, "rollouts-pod-template-hash": "5d8f"}),
        ({**OURS, "tier": "back"}, {**ORIGINAL, "tier": "back"}),
        ({"tier": "localize-abc12"}, {"tier": "front"}),
        ({**OURS, "tier": "localize-xyz98"}, {**ORIGINAL, "tier": "localize-xyz98"}),
    ],
)
def test_what_others_have_changed_meanwhile_stays(current: dict[str, str], wanted: dict[str, str]) -> None:
    assert put_back(current, ORIGINAL, "abc12") == wanted
    assert not selectors.is_marked(wanted, "abc12")


def test_in_words() -> None:
    assert words(ORIGINAL) == "app.kubernetes.io/name=web,tier=front"
