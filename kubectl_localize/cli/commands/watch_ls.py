"""`ls -w`: redraws the table in place on a terminal, else prints what has changed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from typing import TextIO

from kubectl_localize.cli.listing.document import Document
from kubectl_localize.cli.listing.formats import Remark, View, names, remarks, yaml_text
from kubectl_localize.cli.listing.state_files import Reading
from kubectl_localize.cli.listing.table import Row, render_rows, rows_of
from kubectl_localize.cli.terminal import Console

POLL_SECONDS = 0.5
_REDRAW_TICKS = 10
_COLOR = re.compile(r"(\x1b\[[0-9;]*m)")
_PLAIN = "\x1b[0m"


class Watch:
    """What has been shown so far.

    Args:
        out: where data goes.
        console: where remarks go.
        size: the terminal's size where the table is redrawn in place; None where only changes are printed.
        narrowed: whether a filter may leave items out.
        now: the time, with its zone.
    """

    def __init__(
        self,
        view: View,
        *,
        out: TextIO,
        console: Console,
        size: Callable[[], os.terminal_size] | None,
        narrowed: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._view = view
        self._out = out
        self._console = console
        self._size = size
        self._narrowed = narrowed
        self._now = now
        self._said: list[Remark] = []
        self._drawn_lines = 0
        self._document: Document | None = None
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._headed_with_context: bool | None = None

    def run(self, read: Callable[[], Reading], signature: Callable[[], object], sleep: Callable[[float], None]) -> int:
        """Shows until Ctrl-C, which is how it is meant to end: exit code 0."""
        last: object = None
        tick = 0
        try:
            while True:
                current = signature()
                if current != last or (self._size and tick % _REDRAW_TICKS == 0):
                    self.show(read())
                    last = current
                tick += 1
                sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return 0

    def show(self, reading: Reading) -> None:
        """Shows a reading: all of it in place of the last one, or what is new in it."""
        if self._size:
            self._redraw(reading, self._size())
        else:
            self._say(reading)
            self._write(self._change(reading.document))

    def _say(self, reading: Reading) -> None:
        found = remarks(reading, self._view, narrowed=self._narrowed)
        for remark in found:
            if remark not in self._said:
                remark.say(self._console)
        self._said = found

    def _write(self, text: str) -> None:
        if text:
            self._out.write(text)
            self._out.flush()

    def _redraw(self, reading: Reading, size: os.terminal_size) -> None:
        if self._drawn_lines:
            self._write(f"\x1b[{self._drawn_lines}A\r\x1b[J")
        self._say(reading)
        view = replace(self._view, width=size.columns)
        lines = view.text(reading.document, self._now()).splitlines()
        room = max(2, size.lines - 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more"]
        self._drawn_lines = len(lines)
        if lines:
            self._write("".join(clipped(line, size.columns) + "\n" for line in lines))

    def _change(self, document: Document) -> str:
        previous, self._document = self._document, document
        if self._view.is_table:
            return self._changed_rows(document)
        if document == previous:
            return ""
        if self._view.output == "json":
            return json.dumps(document, ensure_ascii=False) + "\n"
        if self._view.output == "yaml":
            return "---\n" + yaml_text(document)
        known = set(names(previous)) if previous else set()
        return "".join(name + "\n" for name in names(document) if name not in known)

    def _changed_rows(self, document: Document) -> str:
        rows = rows_of(document, wide=self._view.is_wide, now=self._now())
        lines = render_rows(rows, wide=self._view.is_wide, color=self._view.color, width=self._view.width)
        previous, self._rows = self._rows, {row.key: row for row in rows}
        for key in previous.keys() - self._rows.keys():
            self._console.line(f"{key[1]}/{key[2]} is gone")
        fresh = [
            line
            for row, line in zip(rows, lines[1:], strict=True)
            if row.key not in previous or previous[row.key].lasting != row.lasting
        ]
        with_context = len({row.key[0] for row in rows}) > 1
        if fresh and with_context != self._headed_with_context:
            self._headed_with_context = with_context
            fresh.insert(0, lines[0])
        return "".join(line + "\n" for line in fresh)


def clipped(line: str, columns: int) -> str:
    """The line cut to a terminal's width, with an ellipsis where something is missing; colours take no room."""
    parts = _COLOR.split(line)
    shown, left = "", columns
    for text, color in zip_longest(parts[::2], parts[1::2], fillvalue=""):
        if len(text) > left:
            return shown + text[: left - 1] + "…" + (_PLAIN if "\x1b" in shown else "")
        shown, left = shown + text + color, left - len(text)
    return shown
