"""What a fault costs, beside what it costs a bare `kubectl port-forward`, and the bound that it has to keep."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.report import Line
from tests.cluster.paths import CHECKOUT

NEVER = math.inf  # it did not answer again as long as it was looked at
FILE = CHECKOUT / "build" / "faults.json"
PROPERTY = "fault"


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        family: Of faults, which is a plot of its own: `link`, `processes`.
        name: What happens, and what is counted.
        unit: Of the figures, `s` or `failed`.
        ours: The product's.
        bare: A bare port-forward's in the same run, NEVER, or None if it has no such figure.
        bound: What ours may be at most.
    """

    family: str
    name: str
    unit: str
    ours: float
    bare: float | None
    bound: float

    @property
    def kept(self) -> bool:
        """Whether the product keeps its bound."""
        return self.ours <= self.bound

    @property
    def line(self) -> Line:
        """It as a line of the table."""
        bare = "-" if self.bare is None else self._words(self.bare)
        bound = f"at most {self._words(self.bound)}"
        return Line(f"{self.family}: {self.name}", self._words(self.ours), bare, "", bound, self.kept)

    @property
    def document(self) -> dict[str, Any]:
        """It for the file, in which NEVER is a word, since JSON has no such number."""
        fields = asdict(self)
        return {name: "never" if value == NEVER else value for name, value in fields.items()} | {"kept": self.kept}

    def _words(self, value: float) -> str:
        return "never" if value == NEVER else f"{value:.2f} s" if self.unit == "s" else f"{value:g} {self.unit}"


class Figures:
    """The rows of one test: all of them are noted before any of them fails it."""

    def __init__(self, family: str, note: Callable[[str, object], None]) -> None:
        self._family = family
        self._note = note
        self._rows: list[Row] = []

    def at_most(self, bound: float, name: str, ours: float, bare: float | None = None, unit: str = "s") -> None:
        """Note a figure of the product and the one of the bare port-forward."""
        row = Row(self._family, name, unit, ours, bare, bound)
        self._rows.append(row)
        self._note(PROPERTY, asdict(row))  # plain values pass from a worker, too

    def check(self, why: Sequence[object] = ()) -> None:
        """Fail the test if a figure is over its bound; the first things of `why` help to see the reason."""
        over = [row for row in self._rows if not row.kept]
        assert not over, f"{over} {why[:5]}"


def keep(rows: Iterable[Row], path: Path = FILE) -> None:
    """Write rows into the file, in place of earlier ones of the same names."""
    found: Mapping[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**found, **{row.line.name: row.document for row in rows}}, indent=1) + "\n")
