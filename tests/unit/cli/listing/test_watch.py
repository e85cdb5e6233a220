"""`ls -w`, as what is written for a history of documents."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path

from kubectl_localize.cli.listing.document import Filter, Reading, StateFiles, merge
from kubectl_localize.cli.listing.formats import NOTHING_RUNS, View
from kubectl_localize.cli.listing.watch import Watch, clipped
from kubectl_localize.cli.terminal import Console
from kubectl_localize.host.paths import Paths
from kubectl_localize.ls_document import Item, Status
from tests.unit.cli.samples import NOW, document, forward, port


class Screen:
    """A watch whose clock stands still, and what it wrote."""

    def __init__(
        self, output: str = "table", size: tuple[int, int] | None = None, root: Path = Path("/nowhere")
    ) -> None:
        self.out = io.StringIO()
        self.err = io.StringIO()
        self.watch = Watch(
            StateFiles(Paths(root), lambda _: 4711),
            Filter(),
            View(output),
            out=self.out,
            console=Console(self.err),
            now=lambda: NOW,
            size=(lambda: os.terminal_size(size)) if size else None,
        )

    def show(self, *items: Item, warnings: tuple[str, ...] = ()) -> tuple[str, str]:
        """What this document adds to stdout and stderr."""
        before = len(self.out.getvalue()), len(self.err.getvalue())
        self.watch.show(Reading(document(*items), warnings))
        return self.out.getvalue()[before[0] :], self.err.getvalue()[before[1] :]


WEB = forward("a", "web", port(80, 80))
API = forward("a", "api", port(80, 80))
WEB_WAITING = replace(WEB, status=Status.WAITING, reason="no Ready pod")
WEB_OLDER = replace(WEB, since="2026-01-02T10:00:00Z")


def test_without_a_terminal_only_changed_rows_follow() -> None:
    screen = Screen()
    first, _ = screen.show(WEB, API)
    assert [line.split()[:3] for line in first.splitlines()] == [
        ["NAMESPACE", "NAME", "STATUS"], ["a", "api", "Active"], ["a", "web", "Active"],
    ]  # fmt: skip
    assert screen.show(WEB, API) == ("", "")
    changed, _ = screen.show(WEB_WAITING, API)
    assert [line.split()[:3] for line in changed.splitlines()] == [["a", "web", "Waiting"]]
    assert screen.show(API) == ("", "a/web is gone\n")


def test_an_age_alone_is_no_change() -> None:
    screen = Screen()
    screen.show(WEB)
    assert screen.show(WEB_OLDER) == ("", "")


def test_a_warning_is_said_once_and_again_when_it_comes_back() -> None:
    screen = Screen()
    assert screen.show(WEB, warnings=("x is gone",))[1] == "warning: x is gone\n"
    assert screen.show(WEB, warnings=("x is gone",))[1] == ""
    screen.show(WEB)
    assert screen.show(WEB, warnings=("x is gone",))[1] == "warning: x is gone\n"


def test_json_is_a_line_for_each_change() -> None:
    screen = Screen("json")
    assert json.loads(screen.show(WEB)[0]) == document(WEB).to_json()
    assert screen.show(WEB)[0] == ""
    changed = screen.show(WEB_WAITING)[0]
    assert changed.count("\n") == 1
    assert json.loads(changed)["items"][0]["status"] == "Waiting"


def test_names_that_are_new() -> None:
    screen = Screen("name")
    assert screen.show(WEB)[0] == "a/web\n"
    assert screen.show(WEB, API)[0] == "a/api\n"


def test_yaml_documents_are_separated() -> None:
    screen = Screen("yaml")
    assert screen.show(WEB)[0].startswith("---\napiVersion: localize/v1\n")


def test_on_a_terminal_the_table_is_redrawn_in_place() -> None:
    screen = Screen(size=(120, 24))
    first, _ = screen.show(WEB, API)
    assert first.startswith("NAMESPACE")
    assert screen.show(WEB)[0].startswith("\x1b[3A\r\x1b[JNAMESPACE")
    assert screen.show()[0] == "\x1b[2A\r\x1b[J"
    assert screen.show(WEB)[0].startswith("NAMESPACE")


def test_a_table_higher_than_the_terminal_is_cut() -> None:
    screen = Screen(size=(120, 5))
    text, _ = screen.show(*(forward("a", f"web-{n}", port(80, 80)) for n in range(9)))
    assert text.count("\n") == 4
    assert text.endswith("\n… 7 more\n")


def test_lines_are_cut_to_the_terminals_width() -> None:
    screen = Screen(size=(30, 24))
    text, _ = screen.show(WEB)
    assert [len(line) for line in text.splitlines()] == [30, 30]
    assert all(line.endswith("…") for line in text.splitlines())
    assert clipped("\x1b[32mActive\x1b[0m rest", 9) == "\x1b[32mActive\x1b[0m r…\x1b[0m"
    assert clipped("\x1b[32mActive\x1b[0m rest", 11) == "\x1b[32mActive\x1b[0m rest"


def test_it_reads_when_a_state_file_changes_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    screen = Screen("name", root=tmp_path)
    run = Paths(tmp_path).run("dev-1")
    run.directory.mkdir()
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            run.state.write_text(json.dumps(document(WEB).to_json()))
        if len(naps) == 3:
            run.state.write_text(json.dumps(document(WEB, API).to_json()))
        if len(naps) == 5:
            raise KeyboardInterrupt

    assert screen.watch.run(sleep) == 0
    assert naps == [0.5] * 5
    assert screen.out.getvalue() == "a/web\na/api\n"


def test_nothing_runs_is_said_once() -> None:
    screen = Screen()
    nothing = Reading(merge([]))
    screen.watch.show(nothing)
    screen.watch.show(nothing)
    assert screen.err.getvalue() == NOTHING_RUNS + "\n"
