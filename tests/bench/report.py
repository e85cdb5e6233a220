"""The table of figures: each beside bare kubectl's and the bound that it has to keep."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD = ("", "kubectl localize", "bare kubectl", "compared", "bound", "")


@dataclass(frozen=True)
class Line:
    """One figure in words, and whether it keeps its bound."""

    name: str
    ours: str
    bare: str
    compared: str
    bound: str
    kept: bool

    @property
    def cells(self) -> tuple[str, ...]:
        """What is printed."""
        verdict = "PASS" if self.kept else "over"
        return (self.name, self.ours, self.bare, self.compared, self.bound, verdict)


@dataclass(frozen=True)
class Pairs:
    """Figures of ours and of bare kubectl's, taken in turns."""

    ours: Sequence[float]
    bare: Sequence[float]

    @property
    def both(self) -> list[tuple[float, float]]:
        """What was measured one after the other."""
        return list(zip(self.ours, self.bare, strict=True))

    @property
    def medians(self) -> tuple[float, float]:
        """Ours and the bare one's."""
        return statistics.median(self.ours), statistics.median(self.bare)

    @property
    def ratio(self) -> float:
        """The median of the pairs' ratios, which a busy machine disturbs least."""
        return statistics.median(ours / bare for ours, bare in self.both)


def table(lines: Iterable[Line]) -> str:
    """All lines below a head, in columns."""
    rows = [HEAD, *(line.cells for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def at_most(name: str, ours: float, bare: float, bound: float, unit: str, digits: int) -> Line:
    """A figure with a bound of its own; how it compares with bare kubectl's is shown as a ratio."""
    ratio = f"{ours / bare:.3f} of it" if bare else "-"
    return Line(
        name,
        f"{ours:.{digits}f} {unit}",
        f"{bare:.{digits}f} {unit}" if bare else "-",
        ratio,
        f"at most {bound:g} {unit}",
        ours <= bound,
    )


def at_most_times(name: str, pairs: Pairs, bound: float) -> Line:
    """Seconds measured in turns, bounded by how many times bare kubectl's they may take."""
    ours, bare = pairs.medians
    return Line(
        name, f"{ours:.3f} s", f"{bare:.3f} s", f"{ours / bare:.1f} x", f"at most {bound:g} x", ours <= bound * bare
    )


def at_most_over(name: str, pairs: Pairs, bound: float, unit: str) -> Line:
    """A figure measured in turns, whose distance to bare kubectl's is bounded."""
    ours, bare = pairs.medians
    over = statistics.median(ours - bare for ours, bare in pairs.both)
    return Line(
        name,
        f"{ours:.3f} {unit}",
        f"{bare:.3f} {unit}",
        f"{over:+.3f} {unit}, {pairs.ratio:.2f} of it",
        f"at most +{bound:g} {unit}",
        over <= bound,
    )


def at_least_of(name: str, pairs: Pairs, bound: float, unit: str) -> Line:
    """A figure measured in turns, whose ratio to bare kubectl's is bounded from below."""
    ours, bare = pairs.medians
    ratio = pairs.ratio
    return Line(
        name, f"{ours:.0f} {unit}", f"{bare:.0f} {unit}", f"{ratio:.2f} of it", f"at least {bound:g}", ratio >= bound
    )
