"""What became of one combination, kept in a file until all have run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.matrix.combination import Combination


@dataclass(frozen=True)
class Result:
    """One combination's run.

    Args:
        kubectl, python: what these say of themselves.
        passed, failed: how many tests; an error outside of a test counts as failed.
        not_run: why this combination could not be had; empty if it could.
        date: the day, in UTC.
        others: what the rest says of itself: the server, ssh.
        key: of the sources that were tested.
    """

    combination: Combination
    date: str
    key: str
    kubectl: str = ""
    python: str = ""
    passed: int = 0
    failed: int = 0
    not_run: str = ""
    others: tuple[tuple[str, str], ...] = ()

    @property
    def good(self) -> bool:
        """Whether tests were run and none failed."""
        return not self.not_run and self.passed > 0 and self.failed == 0


def count(report: str) -> tuple[int, int]:
    """How many tests passed and how many did not, in pytest's JUnit report. Skipped ones are neither."""
    passed = failed = 0
    for case in ElementTree.fromstring(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed += 1
        elif "skipped" not in kinds:
            passed += 1
    return passed, failed


def write(directory: Path, result: Result) -> None:
    """Keep a result."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{result.combination.name}.json").write_text(json.dumps(asdict(result), indent=1))


def read(directory: Path, combination: Combination, key: str) -> Result | None:
    """The kept result, unless it is of other sources."""
    try:
        found = json.loads((directory / f"{combination.name}.json").read_text())
    except FileNotFoundError:
        return None
    others = tuple((name, said) for name, said in found.pop("others"))
    result = Result(**{**found, "combination": combination, "others": others})
    return result if result.key == key else None
