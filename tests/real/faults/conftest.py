"""Marks what is in this directory, so that `make test` leaves it out."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test below this directory has the marker `faults`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")
