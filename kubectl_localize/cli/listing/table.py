"""The table of `ls`: one row for each Service; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubectl_localize.cli.listing.cells import (
    NONE,
    age_text,
    exposed_port_text,
    first_and_more,
    port_text,
    seconds_since,
    size_text,
)
from kubectl_localize.cli.listing.document import Document, Item, item_key
from kubectl_localize.cli.terminal import one_line, paint
from kubectl_localize.model import Status

_COLUMNS = ("NAMESPACE", "NAME", "STATUS", "ADDRESS", "PORT(S)", "ENDPOINT", "AGE")
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


@dataclass(frozen=True)
class Row:
    """One Service's cells; `age` apart from the rest, because it changes without anything having happened."""

    key: tuple[str, str, str]
    status: str
    address: str
    ports: str
    endpoint: str
    age: str
    reason: str
    wide: tuple[str, ...]

    @property
    def lasting(self) -> tuple[str, ...]:
        """All but the age."""
        return *self.key, self.status, self.address, self.ports, self.endpoint, self.reason, *self.wide


def rows_of(document: Document, *, wide: bool, now: datetime) -> list[Row]:
    """A row for each Service, by context, namespace and name; an exposed Service's forward and exposure share one."""
    by_key: dict[tuple[str, str, str], list[Item]] = {}
    for item in document["items"]:
        by_key.setdefault(item_key(item), []).append(item)
    return [_row(key, by_key[key], wide, now) for key in sorted(by_key)]


def _row(key: tuple[str, str, str], items: Sequence[Item], wide: bool, now: datetime) -> Row:
    exposure = next((item for item in items if item.get("kind") == "Exposure"), None)
    forward = next((item for item in items if item.get("kind") != "Exposure"), None)
    shown = exposure or forward or {}
    to_text = exposed_port_text if exposure else port_text
    skipped = shown.get("status") == Status.SKIPPED
    return Row(
        key=key,
        status=shown.get("status") or NONE,
        address=shown.get("address") or (forward or {}).get("address") or NONE,
        ports=",".join(to_text(port) for port in shown.get("ports") or ()) or NONE,
        endpoint=_endpoint(shown),
        age=NONE if skipped else age_text(seconds_since(shown.get("since"), now)),
        reason=one_line(shown.get("reason") or ""),
        wide=_wide_cells(items) if wide else (),
    )


def _endpoint(item: Item) -> str:
    if item.get("kind") == "Exposure":
        return item.get("pod") or NONE
    used = [
        child["pod"] for port in item.get("ports") or () for child in port.get("children") or () if child.get("pod")
    ]
    return first_and_more(used or list(item.get("endpoints") or ()), 1, space=True)


def _wide_cells(items: Iterable[Item]) -> tuple[str, ...]:
    every = list(items)
    ports = [port for item in every for port in item.get("ports") or ()]
    hostnames = [name for item in every for name in item.get("hostnames") or ()]
    pods = [f"{pod.get('name')}={pod.get('address')}" for item in every for pod in item.get("pods") or ()]

    def total(field: str) -> int:
        return sum(port.get(field) or 0 for port in ports)

    return (
        first_and_more(hostnames, 2, space=False),
        first_and_more(pods, 3, space=False),
        str(total("connections")),
        size_text(total("bytesIn")),
        size_text(total("bytesOut")),
        str(total("restarts")),
    )


SHORTEST_REASON = 8


def render_table(document: Document, *, wide: bool, color: bool, width: int | None, now: datetime) -> str:
    """The table of a document, ending in a newline; empty where the document has no items.

    Args:
        wide: with host names, addresses of pods, connections, bytes and restarts.
        color: whether to colour the status.
        width: the terminal's columns, to which REASON is cut where there is some room for it; None leaves it whole.
        now: what ages are counted from, with a time zone.
    """
    lines = render_rows(rows_of(document, wide=wide, now=now), wide=wide, color=color, width=width)
    return "".join(line + "\n" for line in lines)


def render_rows(rows: Sequence[Row], *, wide: bool, color: bool, width: int | None) -> list[str]:
    """The header and a line for each row; nothing for no rows."""
    if not rows:
        return []
    with_context = len({row.key[0] for row in rows}) > 1
    header = [*(("CONTEXT",) if with_context else ()), *_COLUMNS, *(_WIDE_COLUMNS if wide else ()), "REASON"]
    table = [_cells(row, with_context, color) for row in rows]
    lines = _align([header, *table])
    if width is not None:
        room = width - lines[0].index("REASON")
        # where the lines do not fit anyway, a reason that is cut would only hide what there is to know
        if room >= SHORTEST_REASON and any(len(cells[-1]) > room for cells in table):
            lines = _align([header, *([*cells[:-1], _cut(cells[-1], room)] for cells in table)])
    return lines


def _cells(row: Row, with_context: bool, color: bool) -> list[str]:
    return [
        *([one_line(row.key[0])] if with_context else []),
        row.key[1],
        row.key[2],
        paint(row.status, _STYLES.get(Status(row.status), "")) if color and row.status in _STYLES else row.status,
        row.address,
        row.ports,
        row.endpoint,
        row.age,
        *row.wide,
        row.reason,
    ]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _align(table: Sequence[Sequence[str]]) -> list[str]:
    from tabulate import DataRow, TableFormat, tabulate

    between = DataRow("", _GAP, "")
    kubectl = TableFormat(None, None, None, None, between, between, 0, None)
    # The header goes in as a row: tabulate would pad it by two columns more than the rest.
    text = tabulate(table, tablefmt=kubectl, disable_numparse=True, stralign="left")
    return [line.rstrip() for line in text.splitlines()]
