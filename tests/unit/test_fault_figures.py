"""The rows of `make faults`: what is said of them, when they are over their bound, and what stays in the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.real.faults.figures import NEVER, Figures, Row, keep


def test_a_bare_port_forward_that_never_answered_again_is_a_word() -> None:
    row = Row("link", "down", "s", 0.5, NEVER, 3)
    assert row.line.cells == ("link: down", "0.50 s", "never", "", "at most 3.00 s", "PASS")
    assert json.loads(json.dumps(row.document, allow_nan=False))["bare"] == "never"


def test_all_figures_are_noted_before_one_fails_the_test() -> None:
    noted: list[tuple[str, object]] = []
    figures = Figures("loads", lambda name, value: noted.append((name, value)))
    figures.at_most(0, "burst", 1, 2, unit="lost")
    figures.at_most(3, "burst, then descriptors", 3, unit="more")
    assert len(noted) == 2
    with pytest.raises(AssertionError, match="burst"):
        figures.check()


def test_the_file_keeps_the_figures_of_tests_that_did_not_run(tmp_path: Path) -> None:
    path = tmp_path / "build" / "faults.json"
    keep([Row("link", "down", "s", 1, None, 3), Row("link", "silent", "s", 1, None, 3)], path)
    keep([Row("link", "down", "s", 2, None, 3)], path)
    kept = json.loads(path.read_text())
    assert {name: row["ours"] for name, row in kept.items()} == {"link: down": 2, "link: silent": 1}
