"""The state files of the living and of the dead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubectl_localize.cli.listing.state_files import read_states, signature
from kubectl_localize.host.paths import RunPaths
from tests.unit.cli.samples import document, forward


def _run(root: Path, key: str, text: str | None) -> RunPaths:
    run = RunPaths(root / key)
    run.directory.mkdir()
    if text is not None:
        run.state.write_text(text)
    return run


def _living(_: Path) -> int | None:
    return 4711


def _dead(_: Path) -> int | None:
    return None


def test_all_that_live_are_merged(tmp_path: Path) -> None:
    runs = [
        _run(tmp_path, context, json.dumps(document(forward("a", "web"), context=context)))
        for context in ("prod", "dev")
    ]
    reading = read_states(runs, _living)
    assert [item["context"] for item in reading.document["items"]] == ["dev", "prod"]
    assert reading.warnings == ()


def test_a_dead_one_is_said_and_not_shown(tmp_path: Path) -> None:
    run = _run(tmp_path, "dev-1", json.dumps(document(forward("a", "web"), context="dev", pid=99)))
    reading = read_states([run], _dead)
    assert reading.document["items"] == reading.document["supervisors"] == []
    (warning,) = reading.warnings
    assert warning.startswith("the supervisor of context dev (pid 99) is gone; ")
    assert "the next kubectl localize there cleans up" in warning


def test_one_that_ends_properly_while_it_is_read_is_not_called_dead(tmp_path: Path) -> None:
    run = _run(tmp_path, "dev-1", json.dumps(document()))

    def ends_now(_: Path) -> int | None:
        run.state.unlink()
        return None

    reading = read_states([run], ends_now)
    assert (reading.document["supervisors"], reading.warnings) == ([], ())


@pytest.mark.parametrize("text", ["{", '{"apiVersion": "localize/v9"}', "\udcff"])
def test_a_garbled_one_is_named_and_the_others_shown(tmp_path: Path, text: str) -> None:
    bad = _run(tmp_path, "bad", None)
    bad.state.write_bytes(text.encode("utf-8", "surrogateescape"))
    good = _run(tmp_path, "good", json.dumps(document(forward("a", "web"))))
    reading = read_states([bad, good], _living)
    assert [item["name"] for item in reading.document["items"]] == ["web"]
    (warning,) = reading.warnings
    assert warning.startswith(f"{bad.state} cannot be read: ")


def test_a_garbled_one_of_a_dead_supervisor(tmp_path: Path) -> None:
    run = _run(tmp_path, "bad", "{")
    (warning,) = read_states([run], _dead).warnings
    assert warning.startswith(f"a supervisor is gone and left {run.state} behind")


def test_absent(tmp_path: Path) -> None:
    run = _run(tmp_path, "dev-1", None)
    assert read_states([run], _dead).warnings == ()
    assert read_states([run], _living).warnings == ("the supervisor with pid 4711 (dev-1) has no state file yet",)


def test_the_signature_changes_with_the_file_and_with_life(tmp_path: Path) -> None:
    run = _run(tmp_path, "dev-1", "{}")
    first = signature([run], _living)
    assert signature([run], _living) == first
    assert signature([run], _dead) != first
    other = run.directory / "new"
    other.write_text("{} ")
    other.rename(run.state)
    assert signature([run], _living) != first
    run.state.unlink()
    assert signature([run], _living) != first
