"""Answers are remembered until a file changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cli.connection import kubeconfig_view
from kubectl_localize.cli.file_cache import FileCache

KUBECONFIG = """
current-context: dev
contexts:
- {name: dev, context: {cluster: here, user: me, namespace: shop, extensions: [{token: SECRET}]}}
clusters:
- {name: here, cluster: {server: 'https://here', proxy-url: 'http://me:SECRET@proxy:3128', x: 2026-01-01}}
users:
- {name: me, user: {token: SECRET}}
"""


class Texts:
    """Works out the text of files, and counts how often."""

    def __init__(self, *files: Path) -> None:
        self._files = files
        self.times = 0

    def __call__(self) -> dict[str, Any]:
        self.times += 1
        return {"text": "".join(file.read_text() for file in self._files if file.exists())}


def _ask(root: Path, work_out: Texts, *files: Path) -> str:
    cache = FileCache(root)
    text: str = cache.get("texts", [str(file) for file in files], work_out)["text"]
    cache.save()
    return text


def test_it_is_worked_out_again_only_when_a_file_has_changed(tmp_path: Path) -> None:
    first, second, root = tmp_path / "first", tmp_path / "second", tmp_path / "localize"
    texts = Texts(first, second)
    first.write_text("a")
    assert [_ask(root, texts, first, second) for _ in range(3)] == ["a"] * 3
    assert texts.times == 1
    second.write_text("b")
    assert _ask(root, texts, first, second) == "ab"
    first.write_text("c")
    os.utime(first, ns=(0, 1))
    assert _ask(root, texts, first, second) == "cb"
    assert texts.times == 3
    assert _ask(root, Texts(first), first) == "c"
    assert _ask(root, texts, first, second) == "cb"
    assert texts.times == 3


def test_nothing_is_left_of_a_command_that_failed(tmp_path: Path) -> None:
    assert FileCache(tmp_path / "localize").get("texts", [], Texts()) == {"text": ""}
    assert list(tmp_path.iterdir()) == []


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    _ask(tmp_path / "localize", Texts(), tmp_path / "x")
    (file,) = (tmp_path / "localize" / "cache").iterdir()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": []}', '{"files": [], "answer": 3}'])
def test_a_broken_file_is_replaced(tmp_path: Path, text: str) -> None:
    texts = Texts()
    _ask(tmp_path, texts)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_text(text)
    assert [_ask(tmp_path, texts) for _ in range(2)] == ["", ""]
    assert texts.times == 2


def test_if_nothing_can_be_written_it_is_worked_out_each_time(tmp_path: Path) -> None:
    texts = Texts()
    (tmp_path / "file").write_text("")
    assert [_ask(tmp_path / "file" / "localize", texts) for _ in range(2)] == ["", ""]
    assert texts.times == 2


def test_no_secret_of_a_kubeconfig_is_remembered(tmp_path: Path) -> None:
    file, cache = tmp_path / "config", FileCache(tmp_path / "localize")
    file.write_text(KUBECONFIG)
    view = kubeconfig_view(cache, [str(file)])
    cache.save()
    (remembered,) = (tmp_path / "localize" / "cache").iterdir()
    assert "SECRET" not in remembered.read_text()
    assert view["clusters"] == [
        {"name": "here", "cluster": {"server": "https://here", "proxy-url": "http://proxy:3128"}}
    ]
    assert view["contexts"] == [{"name": "dev", "context": {"cluster": "here", "user": "me", "namespace": "shop"}}]
