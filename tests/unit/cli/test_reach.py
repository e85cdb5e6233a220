"""The state directories that a command makes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubectl_localize.cli.commands.stop import sweep
from kubectl_localize.cli.reach import discard_new_state_dirs, spawn
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import HOME_VARIABLE, RunPaths
from kubectl_localize.host.process import Pidfile, owner, wait_released


def test_a_name_that_is_too_long_is_named_and_holds_nothing(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / ("d" * 300) / "k")
    with (
        pytest.raises(LocalizeError, match="is not writable: File name too long") as caught,
        discard_new_state_dirs(paths, lambda: True),
    ):
        raise AssertionError("this was not to be reached")
    assert HOME_VARIABLE in caught.value.hint
    assert not sweep(paths)


def fail(paths: RunPaths, hint: str = "") -> None:
    """A command that makes the directory, writes a log, and fails."""
    with pytest.raises(LocalizeError), discard_new_state_dirs(paths, lambda: True):
        paths.log.write_text("why\n")
        raise LocalizeError("it failed", hint)


def test_a_failed_start_leaves_nothing(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    fail(paths, "`kubectl config view`")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_start_leaves_the_log_that_its_hint_names(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    fail(paths, "`kubectl localize logs` says more; please report it")
    assert paths.log.read_text() == "why\n"


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    paths.directory.mkdir(parents=True, mode=0o700)
    paths.directory.parent.chmod(0o700)
    fail(paths)
    assert paths.log.exists()


def test_a_supervisor_that_another_command_has_just_started_keeps_its_files(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    with pytest.raises(LocalizeError), discard_new_state_dirs(paths, lambda: True):
        pidfile = Pidfile.acquire(paths.pidfile)
        assert pidfile is not None
        raise LocalizeError("it failed")
    assert owner(paths.pidfile) == os.getpid()
    pidfile.release()


def test_exposures_that_were_begun_are_not_forgotten(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / "k")
    with pytest.raises(LocalizeError), discard_new_state_dirs(paths, lambda: True):
        paths.exposures.write_text("{}")
        raise LocalizeError("it failed")
    assert paths.exposures.exists()


def test_a_start_makes_the_directory_anew_that_a_failing_command_has_just_removed(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path / "localize" / f"k-{os.getuid()}")
    spawn(paths).close()
    assert paths.directory.stat().st_mode & 0o777 == 0o700
    assert wait_released(paths.pidfile, 20)
