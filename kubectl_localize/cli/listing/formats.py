"""How a document is shown: in which format, and what is said about it beside it; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from kubectl_localize import __version__
from kubectl_localize.cli.listing.document import Document, notes
from kubectl_localize.cli.listing.state_files import Reading
from kubectl_localize.cli.listing.table import render_table
from kubectl_localize.cli.terminal import Console

NOTHING_RUNS = 'nothing is running; start with "kubectl localize"'
NOTHING_MATCHES = "nothing that is running matches"
LIST = "`kubectl localize ls` lists what runs"
NOTHING_FORWARDED = "no Service is forwarded"


@dataclass(frozen=True)
class View:
    """How to show.

    Args:
        output: as for `-o`.
        color: whether to colour.
        width: the terminal's columns, None where there is none.
    """

    output: str
    color: bool = False
    width: int | None = None

    @property
    def is_table(self) -> bool:
        """Whether it is for people."""
        return self.output in ("table", "wide")

    @property
    def is_wide(self) -> bool:
        """Whether the table has all columns."""
        return self.output == "wide"

    def text(self, document: Document, now: datetime) -> str:
        """The document in this format, ending in a newline unless it is empty."""
        if self.output == "json":
            return json.dumps(document, indent=4, ensure_ascii=False) + "\n"
        if self.output == "yaml":
            return yaml_text(document)
        if self.output == "name":
            return "".join(name + "\n" for name in names(document))
        return render_table(document, wide=self.is_wide, color=self.color, width=self.width, now=now)


def yaml_text(document: Document) -> str:
    """The document as YAML, its fields in the order of the contract."""
    import yaml

    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def names(document: Document) -> list[str]:
    """`ns/svc` of every item, each once."""
    return list(dict.fromkeys(f"{item['namespace']}/{item['name']}" for item in document["items"]))


@dataclass(frozen=True)
class Remark:
    """A line for stderr; a warning or not."""

    text: str
    is_warning: bool = True

    def say(self, console: Console) -> None:
        """Prints it."""
        if self.is_warning:
            console.warning(self.text)
        else:
            console.line(self.text)


def remarks(reading: Reading, view: View, *, narrowed: bool, hint: str = "") -> list[Remark]:
    """What goes to stderr: dead supervisors and unreadable files always, the rest beside a table only.

    Args:
        narrowed: whether a filter may have left items out.
        hint: what may help where the filter has left all of them out; without one it is the list.
    """
    found = [Remark(text) for text in reading.warnings]
    if view.is_table:
        found += [Remark(text) for text in notes(reading.document, __version__)]
        if not reading.document["items"]:
            found.append(Remark(_why_empty(reading.document, narrowed, hint), is_warning=False))
    return found


def _why_empty(document: Document, narrowed: bool, hint: str) -> str:
    if not document["supervisors"]:
        return NOTHING_RUNS
    return f"{NOTHING_MATCHES}; {hint or LIST}" if narrowed else NOTHING_FORWARDED
