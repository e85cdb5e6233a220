"""The table's rows by name, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.bench.commands import ls_few, ls_many, start_few, start_many
from tests.bench.connections import connections
from tests.bench.exposing import expose
from tests.bench.many import many
from tests.bench.memory import memory_few, memory_many
from tests.bench.report import Line
from tests.bench.setting import Setting
from tests.cluster.commands import ClusterError

Measurement = Callable[[Setting], list[Line]]
# Few Services come before many: what is in the cluster is listed by the API server either way.
ROWS: dict[str, Measurement] = {
    "expose": expose,
    "start-10": start_few,
    "ls-10": ls_few,
    "memory-10": memory_few,
    "start-1000": start_many,
    "ls-1000": ls_many,
    "memory-1000": memory_many,
    "many": many,
    "connections": connections,
}


def chosen(names: Sequence[str]) -> list[Measurement]:
    """The measurements of these names, all of them if there is none; ClusterError for a name that no row has."""
    unknown = sorted(set(names) - set(ROWS))
    if unknown:
        raise ClusterError(f"no row is called {', '.join(unknown)}; there are: {', '.join(ROWS)}")
    return [measure for name, measure in ROWS.items() if not names or name in names]
