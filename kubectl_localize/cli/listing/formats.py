"""How a document is printed for each `-o`, and what is said about it on stderr; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kubectl_localize import __version__
from kubectl_localize.cli.listing.document import Reading, folded, notes
from kubectl_localize.cli.listing.table import Style, render_table
from kubectl_localize.cli.terminal import Console
from kubectl_localize.ls_document import LsDocument
from kubectl_localize.text import one_line

NOTHING_RUNS = 'nothing is running; start with "kubectl localize"'
NOTHING_MATCHES = "nothing that is running matches"
LIST = "`kubectl localize ls` lists what runs"
NOTHING_FORWARDED = "no Service is forwarded"


@dataclass(frozen=True)
class View:
    """How to print.

    Args:
        output: the value of `-o`: table, wide, json, yaml, name, jsonpath=… or custom-columns=….
        color: whether to colour the table.
        width: the terminal's columns; None if stdout is no terminal.
        headers: whether a table's first line names the columns.
        folds: whether a table leaves out what cannot be forwarded.
    """

    output: str
    color: bool = False
    width: int | None = None
    headers: bool = True
    folds: bool = True

    @property
    def is_table(self) -> bool:
        """Whether people read it."""
        return self.output in ("table", "wide")

    @property
    def style(self) -> Style:
        """How its table is printed."""
        return Style(self.output == "wide", self.color, self.width, self.headers)

    def visible(self, document: LsDocument) -> LsDocument:
        """The document without what a table leaves out."""
        return folded(document) if self.output == "table" and self.folds else document

    def text(self, document: LsDocument, now: datetime) -> str:
        """The document in this format, ending in a newline unless it is empty.

        Raises:
            UsageError: the jsonpath, or the columns, are not understood.
        """
        kind, equals, template = self.output.partition("=")
        if self.output == "json":
            return json_text(document, indent=4) + "\n"
        if self.output == "yaml":
            return yaml_text(document)
        if self.output == "name":
            return "".join(name + "\n" for name in names(document))
        if not equals:
            return render_table(self.visible(document), self.style, now)
        from kubectl_localize.cli.listing.jsonpath import custom_columns, jsonpath

        if kind == "jsonpath":
            return jsonpath(template, document.to_json())
        return custom_columns(template, document.to_json()["items"], headers=self.headers)


def json_text(document: LsDocument, indent: int | None = None) -> str:
    """The document as JSON (docs/state.md); on one line unless it is indented. What cannot be printed is escaped."""
    import json

    text = json.dumps(document.to_json(), indent=indent, ensure_ascii=False)
    return text if _is_printable(text) else json.dumps(document.to_json(), indent=indent)


def yaml_text(document: LsDocument) -> str:
    """The same fields as YAML, in the same order."""
    import yaml

    text = str(yaml.safe_dump(document.to_json(), sort_keys=False, allow_unicode=True))
    return text if _is_printable(text) else str(yaml.safe_dump(document.to_json(), sort_keys=False))


def _is_printable(text: str) -> bool:
    return text.replace("\n", "").isprintable()


def names(document: LsDocument) -> list[str]:
    """`ns/svc` of every item, each once."""
    return list(dict.fromkeys(one_line(f"{item.namespace}/{item.name}") for item in document.items))


@dataclass(frozen=True)
class Remark:
    """A line for stderr; a warning or not."""

    text: str
    is_warning: bool = True

    def say(self, console: Console) -> None:
        """Print it."""
        if self.is_warning:
            console.warning(self.text)
        else:
            console.line(self.text)


def remarks(reading: Reading, view: View, *, narrowed: bool, hint: str = "") -> list[Remark]:
    """What goes to stderr: dead supervisors and unreadable files always, the rest beside a table only.

    Args:
        reading: what is printed.
        view: how it is printed.
        narrowed: whether a filter may have left items out.
        hint: what may help if the filter has left all of them out; empty: how to list all.
    """
    lines = [Remark(text) for text in reading.warnings]
    if view.is_table:
        lines += [Remark(text) for text in notes(reading.document, __version__)]
        if hidden := len(reading.document.items) - len(view.visible(reading.document).items):
            lines.append(Remark(said_folded(hidden), is_warning=False))
        if not reading.document.items and not reading.is_partial:
            lines.append(Remark(_why_empty(reading.document, narrowed, hint), is_warning=False))
    return lines


def said_folded(count: int) -> str:
    """What to say of the Services that a table leaves out."""
    services = "1 Service" if count == 1 else f"{count} Services"
    return f"{services} cannot be forwarded; `kubectl localize ls --all` lists {'it' if count == 1 else 'them'}"


def _why_empty(document: LsDocument, narrowed: bool, hint: str) -> str:
    if not document.supervisors:
        return NOTHING_RUNS
    return f"{NOTHING_MATCHES}; {hint or LIST}" if narrowed else NOTHING_FORWARDED
