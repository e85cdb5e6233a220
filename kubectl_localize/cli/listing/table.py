"""The table of `ls`: one row for each Service, its cells written as kubectl would write them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubectl_localize.cli.terminal import paint
from kubectl_localize.ls_document import (
    ExposureItem,
    ExposurePort,
    ForwardItem,
    ForwardPort,
    HostsState,
    Item,
    LsDocument,
    Status,
)
from kubectl_localize.text import one_line

NONE = "<none>"
SHORTEST_REASON_COLUMNS = 8
READABLE_REASON_COLUMNS = 32  # less of a reason says less than an endpoint or an age does

_COLUMNS = ("NAMESPACE", "NAME", "STATUS", "ADDRESS", "HOST", "PORT(S)", "ENDPOINT", "AGE")
_LEFT_OUT_FIRST = ("ENDPOINT", "AGE", "HOST")  # if a terminal is too narrow
_WIDE_COLUMNS = ("HOSTNAMES", "PODS", "CONNECTIONS", "BYTES IN", "BYTES OUT", "RESTARTS")
_STYLES = {
    Status.ACTIVE: "green",
    Status.EXPOSED: "green",
    Status.WAITING: "yellow",
    Status.EXPOSING: "yellow",
    Status.RESTORING: "yellow",
    Status.BACKOFF: "red",
    Status.SKIPPED: "dim",
}
_GAP = "   "
_LONGEST_CELL = 1000  # characters; a name has 253 at most, and one cell makes all of its column as wide


# -- rows -------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Row:
    """One Service's cells.

    Args:
        key: context, namespace and name.
        status: coloured only when it is printed.
        host: the shortest name that leads to the address.
        age: apart from the other cells, because it changes although nothing has happened.
        wide: the cells of `-o wide`, or none.
    """

    key: tuple[str, str, str]
    status: Status
    address: str
    host: str
    ports: str
    endpoint: str
    age: str
    reason: str
    wide: tuple[str, ...]

    @property
    def lasting(self) -> tuple[str, ...]:
        """All cells but the age."""
        return *self.key, self.status, self.address, self.host, self.ports, self.endpoint, self.reason, *self.wide


def rows_of(document: LsDocument, *, wide: bool, now: datetime) -> list[Row]:
    """A row for each Service, sorted by context, namespace and name; a forward and an exposure of it share one."""
    items_of: dict[tuple[str, str, str], list[Item]] = {}
    for item in document.items:
        items_of.setdefault((item.context, item.namespace, item.name), []).append(item)
    written = {entry.context for entry in document.supervisors if entry.hosts is HostsState.WRITTEN}
    return [_row(key, items_of[key], wide, now, key[0] in written) for key in sorted(items_of)]


def _row(key: tuple[str, str, str], items: Sequence[Item], wide: bool, now: datetime, has_names: bool) -> Row:
    exposure = next((item for item in items if isinstance(item, ExposureItem)), None)
    forward = next((item for item in items if isinstance(item, ForwardItem)), None)
    item = exposure or items[0]
    ports = map(_exposed_port, exposure.ports) if exposure else map(_forwarded_port, forward.ports if forward else ())
    return Row(
        key=key,
        status=item.status,
        address=(forward.address if forward else "") or NONE,
        host=_shortest_name(forward) if forward and has_names else NONE,
        ports=",".join(ports) or NONE,
        endpoint=_endpoint(item),
        age=NONE if item.status is Status.SKIPPED else age_text(seconds_since(item.since, now)),
        reason=one_line(item.reason) if item.reason else "",
        wide=_wide_cells(items, has_names) if wide else (),
    )


def _shortest_name(forward: ForwardItem) -> str:
    return min(forward.hostnames, key=len, default=NONE) if forward.address else NONE


def _endpoint(item: Item) -> str:
    if isinstance(item, ExposureItem):
        return item.pod or NONE
    in_use = [child.pod for port in item.ports for child in port.children]
    return first_and_more(in_use or item.endpoints, 1, before_more=" ")


def _wide_cells(items: Sequence[Item], has_names: bool) -> tuple[str, ...]:
    forwards = [item for item in items if isinstance(item, ForwardItem)]
    ports = [port for forward in forwards for port in forward.ports]
    exposed = [port for item in items if isinstance(item, ExposureItem) for port in item.ports]
    hostnames = [name for forward in forwards for name in forward.hostnames] if has_names else []
    return (
        first_and_more(hostnames, 2, before_more=","),
        first_and_more(
            [f"{pod.name}={pod.address}" for forward in forwards for pod in forward.pods], 3, before_more=","
        ),
        str(sum(port.connections for port in ports) + sum(port.connections for port in exposed)),
        size_text(sum(port.bytes_in for port in ports)),
        size_text(sum(port.bytes_out for port in ports)),
        str(sum(port.restarts for port in ports)),
    )


# -- cells ------------------------------------------------------------------------------------------------------------
def _forwarded_port(port: ForwardPort) -> str:
    """`5672`, `80->8080`, `53/UDP`, or `8080:80->http` if the local number is another than the Service's."""
    moved = f"{port.local_port}:" if port.local_port not in (0, port.port) else ""
    arrow = f"->{port.target_port}" if port.target_port not in (0, "", port.port) else ""
    return f"{moved}{port.port}{arrow}" + ("" if port.protocol == "TCP" else f"/{port.protocol}")


def _exposed_port(port: ExposurePort) -> str:
    """`80->127.0.0.1:3000`."""
    return f"{port.port}->{port.local or port.target_port}"


def first_and_more(values: Iterable[str], count: int, *, before_more: str) -> str:
    """The first values and how many more there are: `web-abc +1`, `a,b,+3`; `<none>` if there are none.

    Args:
        values: what stands several times counts once.
        count: how many are written out.
        before_more: what stands in front of `+1`.
    """
    unique = list(dict.fromkeys(values))
    more = f"{before_more}+{len(unique) - count}" if len(unique) > count else ""
    return ",".join(unique[:count]) + more or NONE


def seconds_since(moment: str, now: datetime) -> float | None:
    """Seconds from an RFC 3339 time until now; None if the text is no such time."""
    try:
        return (now - datetime.fromisoformat(moment)).total_seconds()
    except (ValueError, TypeError):
        return None


def age_text(seconds: float | None) -> str:
    """A duration as in kubectl's AGE column: `90s`, `2m30s`, `8m`, `3h`, `5d`, `2y10d`."""
    if seconds is None:
        return NONE
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two_units(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two_units(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two_units(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    if days < 8 * 365:
        return _two_units(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}" + (f"{small}{small_unit}" if small else "")


def size_text(count: int) -> str:
    """Bytes for people: `512B`, `1.5KiB`, `20MiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if round(size, 1) < 1024:
            return f"{size:.0f}{unit}" if unit == "B" or round(size, 1) >= 10 else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}TiB"


# -- lines ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Style:
    """How a table is printed.

    Args:
        wide: with host names, addresses of pods, connections, bytes and restarts.
        color: whether to colour the status.
        width: the terminal's columns: a table that is wider loses ENDPOINT, AGE and HOST, in this order, and REASON is
            cut if there is some room for it. None leaves everything whole.
        headers: whether the first line names the columns.
    """

    wide: bool = False
    color: bool = False
    width: int | None = None
    headers: bool = True


def render_table(document: LsDocument, style: Style, now: datetime) -> str:
    """The table of a document, ending in a newline; empty if the document has no items.

    Args:
        now: what ages are counted from, with a time zone.
    """
    lines = render_rows(rows_of(document, wide=style.wide, now=now), style)
    return "".join(line + "\n" for line in lines[0 if style.headers else 1 :])


def render_rows(rows: Sequence[Row], style: Style) -> list[str]:
    """The header and a line for each row, without newlines; nothing for no rows."""
    if not rows:
        return []
    with_context = len({row.key[0] for row in rows}) > 1
    header = [*(("CONTEXT",) if with_context else ()), *_COLUMNS, *(_WIDE_COLUMNS if style.wide else ()), "REASON"]
    table = [header, *(_cells(row, with_context) for row in rows)]
    # The names have a column of their own in the wide table.
    says_nothing = ("HOST",) if style.wide or all(row.host == NONE for row in rows) else ()
    table = _fitting(table, None if style.wide else style.width, always=says_nothing)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = None if style.width is None else style.width - sum(widths[:-1]) - len(_GAP) * len(widths[:-1])
    # If the lines do not fit anyway, cutting a reason would only hide it.
    reason_columns = left if left is not None and left >= SHORTEST_REASON_COLUMNS else None
    status_column = table[0].index("STATUS")
    return [
        _line(
            cells, widths, reason_columns, (status_column, _STYLES.get(row.status, "")) if row and style.color else None
        )
        for cells, row in zip(table, [None, *rows], strict=True)
    ]


def _fitting(table: Sequence[list[str]], width: int | None, *, always: Sequence[str]) -> list[list[str]]:
    """The table without the columns that a terminal has no room for.

    Args:
        table: its first row is the header, its last column the reasons.
        width: None: there is room for everything.
        always: columns that are left out anyway, as they say nothing.
    """
    kept = [list(row) for row in table]
    reasons = max(len(row[-1]) for row in table[1:])
    wanted = min(reasons, READABLE_REASON_COLUMNS)
    for column in (*always, *_LEFT_OUT_FIRST):
        widths = [max(map(len, cells)) for cells in zip(*kept, strict=True)]
        needed = sum(widths[:-1]) + len(_GAP) * (len(widths) - 1) + wanted - (0 if reasons else len(_GAP))
        if column in kept[0] and (column in always or (width is not None and needed > width)):
            index = kept[0].index(column)
            kept = [row[:index] + row[index + 1 :] for row in kept]
    return kept


def _cells(row: Row, with_context: bool) -> list[str]:
    cells = [
        *([row.key[0]] if with_context else []),
        row.key[1],
        row.key[2],
        row.status,
        row.address,
        row.host,
        row.ports,
        row.endpoint,
        row.age,
        *row.wide,
        row.reason,
    ]
    # Nearly all are fine as they are, and there may be thousands.
    return [
        cell if len(cell) < _LONGEST_CELL and cell.isprintable() else one_line(cell, _LONGEST_CELL) for cell in cells
    ]


def _line(
    cells: Sequence[str], widths: Sequence[int], reason_columns: int | None, painted: tuple[int, str] | None
) -> str:
    """One line of the table.

    Padded by hand: tabulate does the same, but importing it takes 10 ms of the 55 that `ls` may take.

    Args:
        cells: the last one, the reason, is not padded.
        widths: of the columns.
        reason_columns: to which the reason is cut; None leaves it whole.
        painted: which cell to colour, and how.
    """
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], widths, strict=False)]
    if painted is not None:
        column, style = painted
        padded[column] = paint(cells[column], style) + padded[column][len(cells[column]) :]
    reason = cells[-1]
    if reason_columns is not None and len(reason) > reason_columns:
        reason = reason[: reason_columns - 1] + "…"
    return _GAP.join([*padded, reason]).rstrip()
