"""The state directories that a command makes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kubectl_localize.cli.commands.stop import sweep
from kubectl_localize.cli.reach import discard_new_state_dirs
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import HOME_VARIABLE, RunPaths, make_private
from kubectl_localize.host.place import record, this_place
from kubectl_localize.host.process import Pidfile, owner


def test_a_name_that_is_too_long_is_named_and_holds_nothing(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / ("d" * 300) / "k")
    with (
        pytest.raises(LocalizeError, match="is not writable: File name too long") as caught,
        discard_new_state_dirs(paths, lambda: True),
    ):
        raise AssertionError("this was not to be reached")
    assert HOME_VARIABLE in caught.value.hint
    assert not sweep(paths)


def run(paths: RunPaths, hint: str, meanwhile: Callable[[RunPaths], object]) -> None:
    """A command that makes the directory, writes a log, and fails."""
    with discard_new_state_dirs(paths, lambda: True):
        paths.log.write_text("why\n")
        meanwhile(paths)
        raise LocalizeError("it failed", hint)


def fail(paths: RunPaths, hint: str = "", meanwhile: Callable[[RunPaths], object] = lambda paths: None) -> None:
    with pytest.raises(LocalizeError, match="it failed"):
        run(paths, hint, meanwhile)


def test_a_failed_start_leaves_nothing(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    fail(paths, "`kubectl config view`")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_start_leaves_no_note_of_whose_the_directory_is(tmp_path: Path) -> None:
    fail(RunPaths(tmp_path / "localize" / "k"), meanwhile=lambda paths: record(paths.directory.parent, this_place()))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_start_leaves_the_log_that_its_hint_names(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    fail(paths, "`kubectl localize logs` says more; please report it")
    assert paths.log.read_text() == "why\n"


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    make_private(paths.directory.parent)
    make_private(paths.directory)
    fail(paths)
    assert paths.log.exists()


def test_a_supervisor_that_another_command_has_just_started_keeps_its_files(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    started: list[Pidfile | None] = []
    fail(paths, meanwhile=lambda paths: started.append(Pidfile.acquire(paths.pidfile)))
    assert owner(paths.pidfile) == os.getpid()
    assert started[0] is not None
    started[0].release()


def test_exposures_that_were_begun_are_not_forgotten(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    fail(paths, meanwhile=lambda paths: paths.exposures.write_text("{}"))
    assert paths.exposures.exists()
