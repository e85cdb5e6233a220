"""Which of a machine's files may be a kubectl of some version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix.kubectls import candidates, directories, minor_of


def make(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        (directory / name).touch()
    return directory


def test_named_ones_come_before_plain_ones(tmp_path: Path) -> None:
    first = make(tmp_path / "a", "kubectl", "kubectl-1.29", "kubectl.1.270", "kubectl-convert")
    second = make(tmp_path / "b", "kubectl.1.27", "kubectl-1.27.3", "kubectl_v1.27", "kubectl.1.27.sha256", "kubectl")
    named = ["kubectl-1.27.3", "kubectl.1.27", "kubectl_v1.27"]
    assert candidates("1.27", [first, tmp_path / "none", second]) == [
        *(second / name for name in named), first / "kubectl", second / "kubectl"
    ]  # fmt: skip


def test_a_link_in_the_path_leads_to_where_others_may_be(tmp_path: Path) -> None:
    there = make(tmp_path / "there", "kubectl", "kubectl.1.27")
    place = make(tmp_path / "bin")
    (place / "kubectl").symlink_to(there / "kubectl")
    assert directories([str(place), str(tmp_path / "none")]) == [place, there, tmp_path / "none"]


@pytest.mark.parametrize(
    ("said", "minor"), [("v1.27.3", "1.27"), ("v1.32.4-dispatcher", "1.32"), ("", ""), ("1.27.3", ""), ("v1", "")]
)
def test_minor_of(said: str, minor: str) -> None:
    assert minor_of(said) == minor
