"""The state file: written when something has changed, tried again when it could not be."""

from __future__ import annotations

from pathlib import Path

from kubectl_localize.host.paths import write_atomic
from kubectl_localize.ls_document import LsDocument, SupervisorItem
from kubectl_localize.supervisor.state_file import StateFile

EMPTY = LsDocument()


def test_a_document_is_written_only_when_it_has_changed(tmp_path: Path) -> None:
    written: list[str] = []
    state = StateFile(tmp_path / "state.json", lambda _, text: written.append(text))
    state.put(EMPTY)
    state.put(EMPTY)
    state.put(LsDocument((SupervisorItem("kind-dev", 1),)))
    assert [len(LsDocument.from_text(text).supervisors) for text in written] == [0, 1]


def test_a_directory_that_cannot_be_written_is_a_problem_until_it_can(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.write_text("in the way")
    path = directory / "state.json"
    state = StateFile(path, write_atomic)
    state.put(EMPTY)
    assert state.problem == "the state file cannot be written, so `ls` is out of date: Not a directory"
    directory.unlink()
    directory.mkdir()
    state.put(EMPTY)
    assert state.problem == ""
    assert LsDocument.from_text(path.read_text()) == EMPTY
