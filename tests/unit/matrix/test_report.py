"""The page and the verdict: a version that was not run is named and never counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.matrix.combination import KUBECTLS, NEWEST, PYTHONS, REQUIRED, Combination, combinations
from tests.matrix.report import page, verdict
from tests.matrix.result import Result

GOOD = Result(
    Combination("1.27", "3.11"), "2026-11-26", "k", "v1.27.3", "3.11.2", passed=23,
    others=(("Kubernetes", "v1.35.4"), ("ssh", "OpenSSH_9.2p1")),
)  # fmt: skip


def result(kubectl: str, python: str = "3.11", **changed: object) -> Result:
    """A good one of this combination, or one that differs."""
    return replace(GOOD, combination=Combination(kubectl, python), kubectl=f"v{kubectl}.0", **changed)  # type: ignore[arg-type]


def not_run(kubectl: str, python: str = "3.11") -> Result:
    return Result(Combination(kubectl, python), "2026-11-26", "k", not_run="there is none")


EVERY = [result(one.kubectl, one.python) for one in combinations("3.11")]


def test_every_kubectl_with_one_python_and_every_python_with_one_kubectl() -> None:
    found = combinations("3.11")
    assert [one.kubectl for one in found if one.python == "3.11"] == list(KUBECTLS)
    assert {one.python for one in found if one.kubectl == NEWEST} == set(PYTHONS)
    assert len(found) == len(set(found)) == len(KUBECTLS) + len(PYTHONS) - 1
    assert len(combinations("3.14")) == len(KUBECTLS) + len(PYTHONS)


def test_all_is_well_when_all_ran_and_passed() -> None:
    assert verdict(EVERY) == ""


@pytest.mark.parametrize("kubectl", KUBECTLS)
def test_a_kubectl_that_was_not_run_is_wrong_where_it_has_to_be(kubectl: str) -> None:
    results = [not_run(kubectl, one.combination.python) if one.combination.kubectl == kubectl else one for one in EVERY]
    assert verdict(results) == (f"kubectl {kubectl} had to run and did not" if kubectl in REQUIRED else "")


def test_a_failed_test_and_a_run_without_tests_are_wrong() -> None:
    results = [result("1.27", failed=1), result("1.29", passed=0), result("1.31"), result("1.32"), result(NEWEST)]
    assert verdict(results) == "tests failed with kubectl 1.27 with Python 3.11, kubectl 1.29 with Python 3.11"


def test_nothing_at_all_is_wrong() -> None:
    assert verdict([]) == "kubectl 1.27, kubectl 1.31, kubectl 1.32, kubectl newest had to run and did not"


def test_the_page_has_a_row_for_each_and_says_why_one_was_not_run() -> None:
    text = page([GOOD, result("1.31", failed=2), not_run("1.33"), not_run(NEWEST, "3.13")])
    assert "| v1.27.3 | 3.11.2 | 23 | 0 | 2026-11-26 |" in text
    assert "| v1.31.0 | 3.11.2 | 23 | 2 | 2026-11-26 |" in text
    assert "| 1.33 | 3.11 | not run | | |" in text
    assert "- kubectl 1.33 with Python 3.11: there is none\n" in text
    assert "- kubectl newest with Python 3.13: there is none\n" in text
    assert text.count("Kubernetes v1.35.4; ssh OpenSSH_9.2p1") == 1
    assert "Not run" not in page(EVERY)
