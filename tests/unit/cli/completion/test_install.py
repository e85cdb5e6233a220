"""Where the files for completion belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubectl_localize.cli.completion.install import MARK, SHELLS, Places, for_kubectl, marked_script, script


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
    assert Places({"PATH": f"/usr/bin:{bin_directory}"}, tmp_path).own_directory() == bin_directory


def test_the_usual_place_where_the_command_is_not_the_users(tmp_path: Path) -> None:
    usual, other = tmp_path / ".local" / "bin", tmp_path / "bin"
    other.mkdir()
    assert Places({"PATH": "/usr/bin:/bin"}, tmp_path).own_directory() == usual
    assert Places({"PATH": f"/usr/bin:{other}"}, tmp_path).own_directory() == other
    assert Places({"PATH": f"{other}:{usual}"}, tmp_path).own_directory() == usual
    assert Places({}, tmp_path).own_directory() == usual


def test_scripts_only_for_shells_that_are_there(tmp_path: Path) -> None:
    _command(tmp_path / "a", "fish")
    placements = Places({"PATH": str(tmp_path / "a")}, tmp_path).placements()
    assert [placement.path.name for placement in placements] == ["kubectl_complete-localize", "kubectl-localize.fish"]
    assert [placement.executable for placement in placements] == [True, False]


def test_the_shells_own_variables_are_respected(tmp_path: Path) -> None:
    assert Places({}, tmp_path).script_files()["bash"] == (
        tmp_path / ".local/share/bash-completion/completions/kubectl-localize"
    )
    assert Places({"XDG_DATA_HOME": "/d", "XDG_CONFIG_HOME": "/c"}, tmp_path).script_files() == {
        "bash": Path("/d/bash-completion/completions/kubectl-localize"),
        "fish": Path("/c/fish/completions/kubectl-localize.fish"),
    }
    assert Places({"BASH_COMPLETION_USER_DIR": "/b"}, tmp_path).script_files()["bash"] == Path(
        "/b/completions/kubectl-localize"
    )


def test_whatever_was_placed_is_looked_for_when_it_is_removed(tmp_path: Path) -> None:
    _command(tmp_path / "a", "fish")
    before = {"PATH": f"{tmp_path / 'a'}:/usr/bin"}
    placed = {placement.path for placement in Places(before, tmp_path).placements()}
    assert placed <= set(Places({"PATH": "/usr/bin"}, tmp_path).possible())


@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_placed_carries_the_mark(shell: str) -> None:
    assert MARK in marked_script(shell)
    assert MARK not in script(shell)
    assert marked_script(shell).splitlines()[0] == script(shell).splitlines()[0]
    assert MARK in for_kubectl()


def test_in_path(tmp_path: Path) -> None:
    assert Places({"PATH": f"/usr/bin:{tmp_path}/"}, tmp_path).in_path(tmp_path)
    assert not Places({"PATH": "/usr/bin::"}, tmp_path).in_path(tmp_path)
