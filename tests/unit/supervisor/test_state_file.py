"""The state file: written when something has changed, tried again when it could not be."""

from __future__ import annotations

import json
from pathlib import Path

from kubectl_localize.host.paths import write_atomic
from kubectl_localize.supervisor.state_file import StateFile


def test_a_document_is_written_only_when_it_has_changed(tmp_path: Path) -> None:
    written: list[str] = []
    state = StateFile(tmp_path / "state.json", lambda _, text: written.append(text))
    state.put({"items": []})
    state.put({"items": []})
    state.put({"items": [1]})
    assert [json.loads(text) for text in written] == [{"items": []}, {"items": [1]}]


def test_a_directory_that_cannot_be_written_is_a_problem_until_it_can(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.write_text("in the way")
    path = directory / "state.json"
    state = StateFile(path, write_atomic)
    state.put({"items": []})
    assert state.problem == "the state file cannot be written, so `ls` is out of date: Not a directory"
    directory.unlink()
    directory.mkdir()
    state.put({"items": []})
    assert state.problem == ""
    assert json.loads(path.read_text()) == {"items": []}
