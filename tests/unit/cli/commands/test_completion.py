"""`completion` as a command: scripts on stdout, files where they belong, and what is said of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubectl_localize.cli.completion.install import MARK, SHELLS, for_kubectl, script
from kubectl_localize.cli.main import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a `~/.local/bin` that is in PATH, and a fish."""
    directory = tmp_path / ".local" / "bin"
    directory.mkdir(parents=True)
    fish = directory / "fish"
    fish.write_text("")
    fish.chmod(0o755)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "BASH_COMPLETION_USER_DIR", "KUBECTL_LOCALIZE_HOME", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(directory))
    return tmp_path


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_all_of_stdout(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr() == (script(shell), "")


@pytest.mark.parametrize("text", [script("bash"), for_kubectl()])
def test_the_scripts_that_a_shell_here_can_check_are_well_formed(text: str) -> None:
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_there_and_back(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    executable = home / ".local/bin/kubectl_complete-localize"
    fish_script = home / ".config/fish/completions/kubectl-localize.fish"
    names = home / ".kube/localize/completion/dev-1/services.json"
    names.parent.mkdir(parents=True)
    names.write_text("{}")
    assert main(["completion", "install"]) == 0
    said = capsys.readouterr().err
    assert f"placed {executable}, for kubectl localize\n" in said
    assert f"placed {fish_script}, for kubectl-localize in fish\n" in said
    assert "bash-completion" not in said
    assert "warning:" not in said
    assert executable.read_text() == for_kubectl()
    assert (executable.stat().st_mode & 0o777, fish_script.stat().st_mode & 0o777) == (0o755, 0o644)

    assert main(["completion", "install", "--remove"]) == 0
    said = capsys.readouterr().err
    assert [f"removed {path}" in said for path in (executable, fish_script, names.parents[1])] == [True] * 3
    assert not executable.exists()
    assert not fish_script.exists()
    assert not names.parents[1].exists()
    assert names.parents[2].exists(), "what else is there stays"


def test_somebody_elses_files_stay(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fish_script = home / ".config/fish/completions/kubectl-localize.fish"
    fish_script.parent.mkdir(parents=True)
    fish_script.write_text("# mine\n")
    assert main(["completion", "install"]) == 0
    assert f"warning: {fish_script} was written by something else and stays as it is" in capsys.readouterr().err
    assert main(["completion", "install", "--remove"]) == 0
    assert fish_script.read_text() == "# mine\n"


def test_another_one_that_comes_first_in_path(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = home / "first" / "kubectl_complete-localize"
    first.parent.mkdir()
    first.write_text("#!/bin/sh\n")
    first.chmod(0o755)
    monkeypatch.setenv("PATH", f"{first.parent}:{home}/.local/bin")
    assert main(["completion", "install"]) == 0
    assert f"warning: {first} comes first in PATH, and was written by something else" in capsys.readouterr().err
    # One of ours is as good as a new one, wherever it is.
    first.write_text(f"#!/bin/sh\n# {MARK}\n")
    assert main(["completion", "install"]) == 0
    assert f"{first} is there already" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / ".config").write_text("a file, where a directory should be")
    assert main(["completion", "install"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-2].startswith(f"error: {home}/.config/fish/completions/kubectl-localize.fish cannot be written: ")
    assert said[-1] == "hint: kubectl localize completion -h says what the file is for"
