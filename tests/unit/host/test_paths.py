"""Paths: what files are called, how private they are, how they are written and locked."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import (
    HOME_VARIABLE,
    Paths,
    context_key,
    key_owner,
    locked,
    make_private,
    write_atomic,
    write_durable,
)


def test_root_is_below_home_unless_the_environment_says_otherwise() -> None:
    assert Paths.from_env({"HOME": "/home/a"}).root == Path("/home/a/.kube/localize")
    assert Paths.from_env({"HOME": "/home/a", "KUBECTL_LOCALIZE_HOME": "/srv/x"}).root == Path("/srv/x")
    assert Paths.from_env({"HOME": "/home/a", "KUBECTL_LOCALIZE_HOME": ""}).root == Path("/home/a/.kube/localize")
    assert Paths.from_env({"KUBECTL_LOCALIZE_HOME": "rel"}).root.is_absolute()


def test_all_runs_are_the_directories_with_a_state_or_a_pidfile(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert Paths(tmp_path / "missing").all_runs() == []
    for key in ("b", "a", "empty"):
        paths.run(key).directory.mkdir()
    paths.run("b").state.touch()
    paths.run("a").pidfile.touch()
    paths.addresses.touch()
    assert [run.key for run in paths.all_runs()] == ["a", "b"]


ROOT = Path("/home/alice/.kube/localize")


@given(st.text(), st.text(), st.integers(0, 2**32 - 2))
def test_context_key_is_fit_for_files_and_the_hosts_block(context: str, server: str, uid: int) -> None:
    key = context_key(context, server, uid, ROOT)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9a-f]{8}-[0-9]+", key)
    assert len(key) <= 60
    assert key.rpartition("-")[2] == str(uid)
    assert key == context_key(context, server, uid, ROOT)


@pytest.mark.parametrize(
    ("key", "uid"),
    [(context_key("dev", "https://a", 1000, ROOT), 1000), ("dev-1a2b3c4d", -1), ("dev-", -1), ("dev-²", -1)],
)
def test_whose_a_context_key_is(key: str, uid: int) -> None:
    assert key_owner(key) == uid


def test_context_key_tells_contexts_apart() -> None:
    keys = [
        context_key("arn:aws:eks:eu/x", "https://a", 1, ROOT),
        context_key("arn:aws:eks:eu-x", "https://a", 1, ROOT),
        context_key("arn:aws:eks:eu/x", "https://b", 1, ROOT),
        context_key("arn:aws:eks:eu/x", "https://a", 2, ROOT),
        context_key("arn:aws:eks:eu/x", "https://a", 1, Path("/nonexistent/.kube/localize")),
    ]
    assert len(set(keys)) == 5
    assert keys[0].startswith("arn-aws-eks-eu-x-")


def test_context_key_is_the_directorys_by_whatever_way_one_goes_there(tmp_path: Path) -> None:
    """Else two supervisors of one context would share the files of its exposures."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    ways = (tmp_path / "real", tmp_path / "link", tmp_path / "link" / ".." / "real")
    assert len({context_key("dev", "https://a", 1, way) for way in ways}) == 1


def test_make_private_makes_directories_that_nobody_else_can_enter(tmp_path: Path) -> None:
    make_private(tmp_path / "c" / "d")
    for directory in (tmp_path / "c", tmp_path / "c" / "d"):
        assert directory.stat().st_mode & 0o7777 == 0o700
        make_private(directory)


@pytest.mark.parametrize("mode", [0o1777, 0o755, 0o750, 0o701])
def test_make_private_leaves_a_directory_that_others_can_enter_as_it_is_and_does_not_use_it(
    mode: int, tmp_path: Path
) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(LocalizeError, match=f"not yours alone: .* mode {mode:04o}") as caught:
        make_private(directory)
    assert directory.stat().st_mode & 0o7777 == mode
    assert "KUBECTL_LOCALIZE_HOME" in caught.value.hint


def test_make_private_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LocalizeError, match="not writable") as caught:
        make_private(tmp_path / "file" / "below")
    assert "KUBECTL_LOCALIZE_HOME" in caught.value.hint


def test_write_atomic_replaces_text_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("old")
    before = path.stat().st_ino
    write_atomic(path, "new é")
    assert path.read_text(encoding="utf-8") == "new é"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_ino != before
    write_atomic(path, "again", mode=0o644)
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["state.json"]


def test_what_has_to_last_is_on_the_disk_before_and_after_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "exposures.json"
    path.write_text("old")
    synced: list[tuple[bool, str, str]] = []  # a directory or a file, what the file holds, what the name leads to

    def fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        held = "" if is_directory else os.pread(descriptor, 100, 0).decode()
        synced.append((is_directory, held, path.read_text()))

    monkeypatch.setattr(os, "fsync", fsync)
    write_durable(path, "new")
    assert synced == [(False, "new", "old"), (True, "", "new")]
    synced.clear()
    write_atomic(path, "what may be lost")
    assert synced == []


def test_write_atomic_leaves_nothing_when_it_fails(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    target.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomic(target, "text")
    assert os.listdir(tmp_path) == ["state.json"]


def test_a_lock_has_one_holder_and_others_wait_no_longer_than_they_want(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, 0):
        with pytest.raises(TimeoutError, match=f"{path} is locked"), locked(path, 0.02):
            raise AssertionError("held twice")
        with pytest.raises(TimeoutError), locked(path, 0):
            raise AssertionError("held twice")
    with locked(path, 0):
        assert path.exists()


def test_a_lock_that_is_released_goes_to_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    order: list[str] = []

    def wait() -> None:
        with locked(path, 30):
            order.append("second")

    waiting = threading.Thread(target=wait)
    with locked(path, 0):
        waiting.start()
        order.append("first")
    waiting.join()
    assert order == ["first", "second"]


def test_a_user_without_a_home_is_told_what_to_set() -> None:
    for environ in ({}, {HOME_VARIABLE: "~/state"}):
        code = (
            "import os, pwd, sys\n"
            "from kubectl_localize.errors import LocalizeError\nfrom kubectl_localize.host.paths import Paths\n"
            "def unknown(uid): raise KeyError(uid)\n"
            "pwd.getpwuid = unknown\nos.environ.pop('HOME', None)\n"
            f"try: Paths.from_env({environ!r})\nexcept LocalizeError as error: print(error.message, error.hint)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert "there is no directory for files of kubectl localize" in done.stdout, done.stderr
        assert "set HOME, or KUBECTL_LOCALIZE_HOME" in done.stdout
