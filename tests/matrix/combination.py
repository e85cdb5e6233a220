"""Which kubectl is tried with which Python, and which of them have to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NEWEST = "newest"
KUBECTLS = ("1.27", "1.29", "1.31", "1.32", "1.33", NEWEST)
PYTHONS = ("3.11", "3.12", "3.13")
REQUIRED = ("1.27", "1.31", "1.32", NEWEST)  # a matrix without one of these kubectls has shown nothing


@dataclass(frozen=True)
class Combination:
    """A kubectl, by its minor version or as the newest there is, and a Python by its minor version."""

    kubectl: str
    python: str

    @property
    def name(self) -> str:
        """What it is called on the command line and in files."""
        return f"kubectl-{self.kubectl}-python-{self.python}"


def combinations(
    default_python: str, kubectls: Sequence[str] = KUBECTLS, pythons: Sequence[str] = PYTHONS
) -> list[Combination]:
    """Every kubectl with the machine's own Python, then every other Python with the newest kubectl."""
    found = [Combination(kubectl, default_python) for kubectl in kubectls]
    return found + [Combination(NEWEST, python) for python in pythons if python != default_python]
