"""`ls -w`: redraws the table in place on a terminal, else prints what has changed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from typing import TextIO

from kubectl_localize.cli.listing.document import Filter, Reading, StateFiles
from kubectl_localize.cli.listing.formats import Remark, View, json_text, names, remarks, yaml_text
from kubectl_localize.cli.listing.table import Row, render_rows, rows_of
from kubectl_localize.cli.streams import write_with_sequences
from kubectl_localize.cli.terminal import Console
from kubectl_localize.ls_document import LsDocument

POLL_SECONDS = 0.5
_REDRAW_TICKS = 10
_COLOR = re.compile(r"(\x1b\[[0-9;]*m)")
_PLAIN = "\x1b[0m"


class Watch:
    """Shows the document again whenever it changes, and remembers what it has shown.

    Args:
        states: what to show.
        wanted: which part of it.
        view: in which format.
        out: where data goes.
        console: where remarks go.
        size: returns the terminal's size if the table is redrawn in place; None if only changes are printed.
        now: returns the time, with its zone.
    """

    def __init__(
        self,
        states: StateFiles,
        wanted: Filter,
        view: View,
        *,
        out: TextIO,
        console: Console,
        size: Callable[[], os.terminal_size] | None,
        now: Callable[[], datetime],
    ) -> None:
        self._states = states
        self._wanted = wanted
        self._view = view
        self._out = out
        self._console = console
        self._size = size
        self._now = now
        self._said: list[Remark] = []
        self._drawn_lines = 0
        self._document: LsDocument | None = None
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._headed_with_context: bool | None = None

    def run(self, sleep: Callable[[float], None]) -> int:
        """Show what changes, until Ctrl-C.

        Args:
            sleep: takes seconds.

        Returns:
            The exit code, 0.
        """
        shown: object = None
        tick = 0
        try:
            while True:
                signature = self._states.signature()
                if signature != shown or (self._size and tick % _REDRAW_TICKS == 0):
                    self.show(self._states.read())
                    shown = signature
                tick += 1
                sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return 0

    def show(self, reading: Reading) -> None:
        """Show a reading: on a terminal all of it in place of the last one, else only what has changed."""
        wanted = replace(reading, document=self._wanted.apply(reading.document))
        if self._size:
            self._redraw(wanted, self._size())
        else:
            self._say(wanted)
            self._write(self._change(wanted.document))

    def _say(self, reading: Reading) -> None:
        current = remarks(reading, self._view, narrowed=self._wanted.narrows_items)
        for remark in current:
            if remark not in self._said:
                remark.say(self._console)
        self._said = current

    def _write(self, text: str) -> None:
        if text:
            write_with_sequences(self._out, text)
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

    def _change(self, document: LsDocument) -> str:
        previous, self._document = self._document, document
        if self._view.is_table:
            return self._changed_rows(document)
        if document == previous:
            return ""
        if self._view.output == "json":
            return json_text(document) + "\n"
        if self._view.output == "yaml":
            return "---\n" + yaml_text(document)
        if self._view.output != "name":
            return self._view.text(document, self._now())
        known = set(names(previous)) if previous else set()
        return "".join(name + "\n" for name in names(document) if name not in known)

    def _changed_rows(self, document: LsDocument) -> str:
        style = self._view.style
        rows = rows_of(self._view.visible(document), wide=style.wide, now=self._now())
        lines = render_rows(rows, style)
        previous, self._rows = self._rows, {row.key: row for row in rows}
        for key in previous.keys() - self._rows.keys():
            self._console.line(f"{key[1]}/{key[2]} is gone")
        changed = [
            line
            for row, line in zip(rows, lines[1:], strict=True)
            if row.key not in previous or previous[row.key].lasting != row.lasting
        ]
        with_context = len({row.key[0] for row in rows}) > 1
        if changed and style.headers and with_context != self._headed_with_context:
            self._headed_with_context = with_context
            changed.insert(0, lines[0])
        return "".join(line + "\n" for line in changed)


def clipped(line: str, columns: int) -> str:
    """The line cut to a terminal's width, with an ellipsis if something is missing; colours take no room."""
    parts = _COLOR.split(line)
    clipped_line, left = "", columns
    for text, color in zip_longest(parts[::2], parts[1::2], fillvalue=""):
        if len(text) > left:
            return clipped_line + text[: left - 1] + "…" + (_PLAIN if "\x1b" in clipped_line else "")
        clipped_line, left = clipped_line + text + color, left - len(text)
    return clipped_line
