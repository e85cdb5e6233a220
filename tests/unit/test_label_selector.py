"""Label selectors."""

from __future__ import annotations

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.label_selector import matches, parse_selector

LABELS = {"app": "web", "app.kubernetes.io/part-of": "shop", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True), ("app=web", True), ("app==web", True), ("app = web", True), ("app=api", False), ("app!=web", False),
        ("app!=api", True), ("none!=x", True), ("none=x", False), ("app", True), ("none", False), ("!app", False),
        ("!none", True), ("app in (web, api)", True), ("app in (api)", False), ("app notin (api,db)", True),
        ("app notin (web)", False), ("none notin (x)", True), ("none in (x)", False), ("empty=", True), ("app=", False),
        ("app.kubernetes.io/part-of=shop", True), ("app in (web,api),empty", True), ("app=web,none", False),
        ("app in (web,api),app!=web", False), ("in", False), ("in in (in)", False),
    ],
)  # fmt: skip
def test_selectors(selector: str, expected: bool) -> None:
    assert matches(parse_selector(selector), LABELS) is expected


@pytest.mark.parametrize("selector", ["a=b=c", "a in web", "a in (b", ",", "a,,b", "=b", "a>1", "a b", "!a=b", "a=b,"])
def test_what_is_none(selector: str) -> None:
    with pytest.raises(LocalizeError, match="is not a label selector") as caught:
        parse_selector(selector)
    assert caught.value.exit_code == 1
