"""Where the files for completion belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_localize.cli.completion.places import in_path, own_directory, placements, possible, script_files
from kubectl_localize.cli.completion.scripts import FOR_KUBECTL, MARK, SCRIPTS, marked


def _command(directory: Path, name: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_beside_the_link_that_is_in_path_not_beside_what_it_leads_to(tmp_path: Path) -> None:
    real = _command(tmp_path / "store" / "v1", "kubectl-localize")
    bin_directory = tmp_path / "krew" / "bin"
    bin_directory.mkdir(parents=True)
    (bin_directory / "kubectl-localize").symlink_to(real)
    assert own_directory({"PATH": f"/usr/bin:{bin_directory}"}, tmp_path) == bin_directory


def test_the_usual_place_where_the_command_is_not_the_users(tmp_path: Path) -> None:
    usual, other = tmp_path / ".local" / "bin", tmp_path / "bin"
    other.mkdir()
    assert own_directory({"PATH": "/usr/bin:/bin"}, tmp_path) == usual
    assert own_directory({"PATH": f"/usr/bin:{other}"}, tmp_path) == other
    assert own_directory({"PATH": f"{other}:{usual}"}, tmp_path) == usual
    assert own_directory({}, tmp_path) == usual


def test_scripts_only_for_shells_that_are_there(tmp_path: Path) -> None:
    _command(tmp_path / "a", "fish")
    found = placements({"PATH": str(tmp_path / "a")}, tmp_path)
    assert [placement.path.name for placement in found] == ["kubectl_complete-localize", "kubectl-localize.fish"]
    assert [placement.executable for placement in found] == [True, False]


def test_the_shells_own_variables_are_respected(tmp_path: Path) -> None:
    assert script_files({}, tmp_path)["bash"] == (
        tmp_path / ".local/share/bash-completion/completions/kubectl-localize"
    )
    assert script_files({"XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "/c"}, tmp_path) == {
        "bash": Path("/d/bash-completion/completions/kubectl-localize"),
        "fish": Path("/c/fish/completions/kubectl-localize.fish"),
    }
    assert script_files({"BASH_COMPLETION_USER_DIR": "/b"}, tmp_path)["bash"] == Path("/b/completions/kubectl-localize")


def test_whatever_was_placed_is_looked_for_when_it_is_removed(tmp_path: Path) -> None:
    _command(tmp_path / "a", "fish")
    before = {"PATH": f"{tmp_path / 'a'}:/usr/bin"}
    placed = {placement.path for placement in placements(before, tmp_path)}
    assert placed <= set(possible({"PATH": "/usr/bin"}, tmp_path))


@pytest.mark.parametrize("shell", SCRIPTS)
def test_what_is_placed_carries_the_mark(shell: str) -> None:
    assert MARK in marked(shell)
    assert MARK not in SCRIPTS[shell]
    assert marked(shell).splitlines()[0] == SCRIPTS[shell].splitlines()[0]
    assert MARK in FOR_KUBECTL


def test_in_path(tmp_path: Path) -> None:
    assert in_path(tmp_path, {"PATH": f"/usr/bin:{tmp_path}/"})
    assert not in_path(tmp_path, {"PATH": "/usr/bin::"})
