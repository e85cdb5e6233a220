"""What the kubeconfig says, kept until it changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cli.completion.kubeconfig_cache import cached_kubeconfig


class Reader:
    """Reads kubeconfig files, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, files: Sequence[str]) -> dict[str, Any]:
        self.times += 1
        return {"current-context": "".join(Path(file).read_text() for file in files if Path(file).exists())}


def test_it_is_read_again_only_when_a_file_has_changed(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    files, root, read = [str(first), str(second)], tmp_path / "localize", Reader()
    first.write_text("a")
    for _ in range(3):
        assert cached_kubeconfig(root, files, read) == {"current-context": "a"}
    assert read.times == 1
    second.write_text("b")
    assert cached_kubeconfig(root, files, read) == {"current-context": "ab"}
    first.write_text("c")
    os.utime(first, ns=(0, 1))
    assert cached_kubeconfig(root, files, read) == {"current-context": "cb"}
    assert cached_kubeconfig(root, files[:1], read) == {"current-context": "c"}
    assert cached_kubeconfig(root, files, read) == {"current-context": "cb"}
    assert read.times == 4


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    cached_kubeconfig(tmp_path / "localize", ["x"], Reader())
    (file,) = (tmp_path / "localize" / "completion").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": [null]}', '{"files": [null], "view": 3}'])
def test_what_cannot_be_read_is_read_anew(tmp_path: Path, text: str) -> None:
    read = Reader()
    cached_kubeconfig(tmp_path, ["missing"], read)
    (file,) = (tmp_path / "completion").iterdir()
    file.write_text(text)
    assert cached_kubeconfig(tmp_path, ["missing"], read) == {"current-context": ""}
    assert read.times == 2


def test_where_nothing_can_be_kept_it_is_read_each_time(tmp_path: Path) -> None:
    read, root = Reader(), tmp_path / "file" / "localize"
    (tmp_path / "file").write_text("")
    for _ in range(2):
        assert cached_kubeconfig(root, ["missing"], read) == {"current-context": ""}
    assert read.times == 2
