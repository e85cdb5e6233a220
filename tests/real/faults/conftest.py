"""Marks what is in this directory, so that `make test` leaves it out, and shows its figures as a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.report import table
from tests.real.faults.figures import PROPERTY, Figures, Row, keep


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test below this directory has the marker `faults`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table, and keep its figures in build/faults.json."""
    rows = [
        Row(**value)
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == PROPERTY and report.when == "call"
    ]
    if rows:
        terminalreporter.section("faults")
        terminalreporter.write_line(table(row.line for row in rows))
        keep(rows)


@pytest.fixture
def figures(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Figures:
    """The rows of this test; their family is the name of its file."""
    return Figures(request.path.stem.removeprefix("test_"), record_property)
