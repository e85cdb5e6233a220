"""Kubeconfig files, read without kubectl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubectl_localize.cluster.kubeconfig import connection, merge, read_view

FIRST = """
apiVersion: v1
kind: Config
current-context: dev
contexts:
- {name: dev, context: {cluster: here, user: me, namespace: shop}}
clusters:
- {name: here, cluster: {server: 'https://here:6443', certificate-authority-data: AAAA}}
users:
- {name: me, user: {token: SECRET}}
"""
SECOND = """
current-context: prod
contexts:
- {name: dev, context: {cluster: there, namespace: other}}
- {name: prod, context: {cluster: there}}
clusters:
- {name: there, cluster: {server: 'https://there'}}
"""


def _files(directory: Path, *texts: str) -> list[str]:
    paths = [directory / f"config-{number}" for number, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return [str(path) for path in paths]


def test_the_first_file_wins(tmp_path: Path) -> None:
    view = read_view([str(tmp_path / "missing"), *_files(tmp_path, FIRST, SECOND)])
    assert view["current-context"] == "dev"
    assert [(entry["name"], entry["context"].get("cluster")) for entry in view["contexts"]] == [
        ("dev", "here"),
        ("prod", "there"),
    ]
    assert [entry["name"] for entry in view["clusters"]] == ["here", "there"]


def test_it_is_what_a_connection_is_made_of(tmp_path: Path) -> None:
    files = _files(tmp_path, FIRST, SECOND)
    found = connection(read_view(files), kubectl="kubectl", kubeconfig=files)
    assert (found.context, found.server, found.namespace) == ("dev", "https://here:6443", "shop")
    found = connection(read_view(files), kubectl="kubectl", kubeconfig=files, context="prod")
    assert (found.server, found.namespace) == ("https://there", "default")


def test_credentials_are_not_kept(tmp_path: Path) -> None:
    view = read_view(_files(tmp_path, FIRST))
    assert view["users"] == [{"name": "me", "user": {}}]
    assert "SECRET" not in str(view)


@pytest.mark.parametrize("text", ["", "clusters: [", "- a", "\x00", "contexts: 3", "a: !!python/object:os.system {}"])
def test_what_is_no_kubeconfig_counts_as_empty(tmp_path: Path, text: str) -> None:
    assert read_view(_files(tmp_path, text, FIRST)) == read_view(_files(tmp_path, FIRST))


@pytest.mark.parametrize(
    "document",
    [{"contexts": [None, 3, {}, {"name": 3}, {"name": "x", "context": []}]}, {"current-context": ["x"]}, None, [1]],
)
def test_entries_of_another_shape_are_left_out(document: Any) -> None:
    view = merge([document])
    assert view["current-context"] == ""
    assert view["contexts"] in ([], [{"name": "x", "context": {}}])
