"""docs/compatibility.md, from results."""

from __future__ import annotations

from collections.abc import Sequence

from tests.matrix.combination import REQUIRED
from tests.matrix.result import Result

HEAD = """# Compatibility

`make matrix` wrote this page: it runs the core of the tests (forward, expose, restore; the mark `core`) on a real
cluster with each of these, and with nothing else changed. Versions are what each program says of itself.
"""


def page(results: Sequence[Result]) -> str:
    """The whole page."""
    ran = [result for result in results if not result.not_run]
    lines = [HEAD, "| kubectl | Python | tests passed | failed | date |", "|---|---|---|---|---|"]
    lines += [_row(result) for result in results]
    others = list(dict.fromkeys(f"{name} {said}" for result in ran for name, said in result.others))
    if others:
        lines += ["", f"In all of these: {'; '.join(others)}."]
    missing = [result for result in results if result.not_run]
    if missing:
        lines += ["", "Not run, and so not known:", ""]
        lines += [f"- {_asked(result)}: {result.not_run}" for result in missing]
    return "\n".join([*lines, ""])


def verdict(results: Sequence[Result]) -> str:
    """What is wrong with the whole of it, in a line; empty where all that ran passed and all that must run did."""
    failed = [_asked(result) for result in results if not result.not_run and not result.good]
    ran = {result.combination.kubectl for result in results if not result.not_run}
    missing = [f"kubectl {version}" for version in REQUIRED if version not in ran]
    parts = [f"tests failed with {', '.join(failed)}"] if failed else []
    parts += [f"{', '.join(missing)} had to run and did not"] if missing else []
    return "; ".join(parts)


def _asked(result: Result) -> str:
    return f"kubectl {result.combination.kubectl} with Python {result.combination.python}"


def _row(result: Result) -> str:
    if result.not_run:
        return f"| {result.combination.kubectl} | {result.combination.python} | not run | | |"
    return f"| {result.kubectl} | {result.python} | {result.passed} | {result.failed} | {result.date} |"
