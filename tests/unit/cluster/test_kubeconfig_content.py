"""What one context uses of its kubeconfig files, as a document that stands for itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubectl_localize.cluster.kubeconfig_content import KubeconfigContent
from tests.unit.cluster.samples import CONNECTION

DEV = replace(CONNECTION, context="dev", cluster="", user="")


def write(path: Path, **lists: list[dict[str, Any]]) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(lists))
    return str(path)


def content(directory: Path, user: dict[str, Any]) -> KubeconfigContent:
    """Two files: the first has the context, the second the rest, and another context's secrets."""
    first = write(directory / "one" / "config", contexts=[{"name": "dev", "context": {"cluster": "c", "user": "u"}}])
    second = write(
        directory / "two" / "config",
        clusters=[{"name": "c", "cluster": {"server": "https://c", "certificate-authority": "ca.crt"}}],
        users=[{"name": "u", "user": user}, {"name": "other", "user": {"token": "not ours"}}],
    )
    return KubeconfigContent.read([first, second])


def test_only_what_the_context_uses_is_copied_and_paths_become_absolute(tmp_path: Path) -> None:
    user = {"client-certificate": "me.crt", "client-key": "/keys/me", "exec": {"command": "./bin/login"}}
    alone = content(tmp_path, user).alone(DEV)
    assert "not ours" not in json.dumps(alone)
    assert alone["current-context"] == "dev"
    assert alone["clusters"][0]["cluster"]["certificate-authority"] == f"{tmp_path}/two/ca.crt"
    assert alone["users"][0]["user"] == {
        "client-certificate": f"{tmp_path}/two/me.crt",
        "client-key": "/keys/me",
        "exec": {"command": f"{tmp_path}/two/./bin/login"},
    }


def test_a_plugin_of_the_path_stays_one(tmp_path: Path) -> None:
    assert content(tmp_path, {"exec": {"command": "aws"}}).credentials(DEV) == {"exec": {"command": "aws"}}


def test_flags_choose_another_user_and_cluster(tmp_path: Path) -> None:
    alone = content(tmp_path, {}).alone(replace(DEV, user="other", cluster="nowhere"))
    assert alone["users"] == [{"name": "other", "user": {"token": "not ours"}}]
    assert alone["clusters"] == [{"name": "nowhere", "cluster": {}}]


def test_the_first_file_that_has_a_name_wins(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, users=[{"name": "u", "user": {"token": name}}]) for name in ("a", "b")]
    assert KubeconfigContent.read(paths).credentials(replace(DEV, user="u")) == {"token": "a"}


def test_what_is_no_kubeconfig_says_nothing(tmp_path: Path) -> None:
    broken, strange = tmp_path / "broken", tmp_path / "strange"
    broken.write_text("clusters: [")
    strange.write_text(json.dumps({"contexts": [3, {"name": "dev", "context": 4}], "users": {"u": 1}}))
    read = KubeconfigContent.read([str(tmp_path / "none"), str(broken), str(strange)])
    assert read.reread(DEV) is None
    assert read.credentials(DEV) == {}
    assert not read.is_empty
    assert KubeconfigContent.read([str(tmp_path / "none")]).is_empty


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(content(tmp_path, {"token": "secret"}))
