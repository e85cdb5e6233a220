"""Paths: what files are called, how private they are, and sockets with long paths."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, context_key, make_private, socket_address, write_atomic, write_durable
from kubectl_localize.host.system import this_system
from kubectl_localize.host.system.linux import Linux
from kubectl_localize.host.system.macos import MacOS


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
    for made in (tmp_path / "c", tmp_path / "c" / "d"):
        assert made.stat().st_mode & 0o7777 == 0o700
        make_private(made)


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


def test_a_socket_with_a_long_path_can_be_bound_and_reached(tmp_path: Path) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    path = directory / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(socket_address(path))
        listener.listen()
        assert path.is_socket()
        client.connect(socket_address(path))
    assert socket_address(Path("/run/x.sock")) == "/run/x.sock"


def test_without_proc_a_long_path_is_made_relative_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / ("d" * 100)
    directory.mkdir()
    path = directory / "control.sock"
    monkeypatch.chdir(directory)
    assert socket_address(path, MacOS()) == "control.sock"
    monkeypatch.chdir("/")
    with pytest.raises(LocalizeError, match="too long for a socket"):
        socket_address(path, MacOS())


@pytest.mark.parametrize("system", [Linux(), MacOS()])
def test_the_longest_path_of_a_socket_is_the_systems(system: Linux | MacOS) -> None:
    longest = Path("/" + "a" * (system.socket_path_bytes - 1))
    assert socket_address(longest, system) == str(longest)
    if system.socket_path_bytes == this_system().socket_path_bytes:
        name = Path("/tmp") / ("a" * (system.socket_path_bytes - len("/tmp/")))
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(name))
            name.unlink()
        with socket.socket(socket.AF_UNIX) as bound, pytest.raises(OSError, match="too long"):
            bound.bind(f"{name}a")


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
