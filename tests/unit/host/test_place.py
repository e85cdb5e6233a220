"""Whose directory of state it is, if several machines or containers share a home."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_localize.host.hosts import render_block
from kubectl_localize.host.paths import Paths
from kubectl_localize.host.place import RECORD, Place, record, root_of, sees_block, this_place
from kubectl_localize.host.process import Pidfile
from kubectl_localize.model import HostsLine

HOST = Place("1f2e", "boot-1", "net:[4026531840]")
CONTAINER = Place("c0ffee", "boot-1", "net:[4026532000]")
VIRTUAL_MACHINE = Place("docker-desktop", "boot-2", "net:[4026531840]")
AFTER_A_BOOT = replace(HOST, boot="boot-9", network="net:[4026531841]")


def lives_is(answer: bool) -> Callable[[Path], bool]:
    """Whether somebody lives in any directory."""
    return lambda root: answer


def test_the_first_to_come_has_the_root(tmp_path: Path) -> None:
    assert root_of(tmp_path, HOST, lives_is(True)) == tmp_path
    record(tmp_path, HOST)
    assert root_of(tmp_path, HOST, lives_is(True)) == tmp_path
    assert (tmp_path / RECORD).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("other", "lives", "is_root"),
    [
        (CONTAINER, True, False),
        (CONTAINER, False, True),
        (replace(HOST, network="net:[7]"), True, False),
        (AFTER_A_BOOT, False, True),
        (AFTER_A_BOOT, True, False),
        (VIRTUAL_MACHINE, True, False),
        (VIRTUAL_MACHINE, False, False),
    ],
    ids=["container", "nobody-lives", "network", "boot", "boot-lives", "machine", "locks-of-others-are-not-seen"],
)
def test_who_has_a_directory_of_its_own(tmp_path: Path, other: Place, lives: bool, is_root: bool) -> None:
    record(tmp_path, HOST)
    root = root_of(tmp_path, other, lives_is(lives))
    assert (root == tmp_path) == is_root
    assert root.parent == tmp_path or is_root


def test_who_has_one_keeps_it_when_the_others_are_gone(tmp_path: Path) -> None:
    record(tmp_path, HOST)
    own = root_of(tmp_path, CONTAINER, lives_is(True))
    own.mkdir()
    record(own, CONTAINER)
    assert root_of(tmp_path, CONTAINER, lives_is(False)) == own
    assert root_of(own, CONTAINER, lives_is(False)) == own, "as the supervisor sees it that was started there"
    assert root_of(tmp_path, HOST, lives_is(True)) == tmp_path


@pytest.mark.parametrize("text", ["", "{", "[]", '{"machine": 1}', "\xff"])
def test_a_broken_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / RECORD).write_text(text, encoding="latin-1")
    assert root_of(tmp_path, HOST, lives_is(True)) == tmp_path


def test_a_process_has_one_place() -> None:
    assert this_place() == this_place()
    assert this_place().network.startswith("net:[")


def test_a_container_goes_by_its_name_and_a_system_without_namespaces_by_its_kind(tmp_path: Path) -> None:
    assert this_place(machine_id=tmp_path / "missing").machine == os.uname().nodename
    (tmp_path / "empty").touch()
    assert this_place(machine_id=tmp_path / "empty").machine == os.uname().nodename
    (tmp_path / "id").write_text("1f2e\n")
    assert this_place(machine_id=tmp_path / "id").machine == "1f2e"
    assert this_place(proc=tmp_path) == Place(sys.platform, "", "")


def test_state_is_in_a_directory_of_ones_own_while_a_supervisor_of_another_place_lives(tmp_path: Path) -> None:
    environ = {"KUBECTL_LOCALIZE_HOME": str(tmp_path)}
    run = Paths(tmp_path).run("dev-1")
    run.directory.mkdir()
    record(tmp_path, replace(this_place(), machine="another", network="net:[1]"))
    assert Paths.from_env(environ).root == tmp_path
    pidfile = Pidfile.acquire(run.pidfile)
    assert pidfile is not None
    assert Paths.from_env(environ).root.parent == tmp_path
    pidfile.release()
    assert Paths.from_env(environ).root == tmp_path


def test_a_block_is_seen_in_the_hosts_file_that_has_it(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    assert not sees_block(str(hosts), "dev-1")
    hosts.write_text("127.0.0.1 localhost\n" + render_block("dev-1", "dev", [HostsLine("127.64.0.1", ("web",))]))
    assert sees_block(str(hosts), "dev-1")
    assert not sees_block(str(hosts), "dev")
