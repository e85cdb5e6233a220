"""What may lie in the place of a file of ours: nothing hangs, nothing is lost."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.files import MOST_BYTES, make_room, open_file, read_json, read_text
from kubectl_localize.host.group_ledger import end_recorded_groups
from kubectl_localize.host.paths import locked
from kubectl_localize.host.process import Pidfile, owner, wait_released


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


STRANGERS: list[Callable[[Path], None]] = [os.mkfifo, Path.mkdir, _device, _socket]


@pytest.mark.parametrize("make", STRANGERS, ids=lambda make: make.__name__)
def test_what_is_no_file_is_not_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    make(path)
    for read in (read_text, read_json, open_file):
        with pytest.raises(OSError, match=r"no regular file|directory|No such device"):
            read(path)


@pytest.mark.parametrize("make", STRANGERS, ids=lambda make: make.__name__)
def test_a_stranger_is_moved_aside(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "supervisor.log"
    make(path)
    kind = stat.S_IFMT(path.lstat().st_mode)
    make_room(path)
    assert not os.path.lexists(path)
    assert stat.S_IFMT((tmp_path / "supervisor.log.broken").lstat().st_mode) == kind
    make_room(path)  # nothing is there


def test_a_socket_has_its_place(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    _socket(path)
    make_room(path, socket=True)
    assert stat.S_ISSOCK(path.stat().st_mode)
    path.unlink()
    path.write_text("")
    make_room(path, socket=True)
    assert not path.exists()


def test_files_and_links_to_files_stay(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("log")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("elsewhere", "link"):
        make_room(tmp_path / name)
        assert read_text(tmp_path / name) == "log"


def test_what_cannot_be_moved_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.mkdir()
    (tmp_path / "state.json.broken" / "full").mkdir(parents=True)
    with pytest.raises(LocalizeError, match=r"state.json is no file of ours, and is in the way") as caught:
        make_room(path)
    assert caught.value.hint == f"remove it: `rm -r {path}`"


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\ud800", "\x00", "", "{"])
def test_damaged_json_is_a_value_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r".+"):
        read_json(path)


def test_a_file_that_is_far_too_large(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(OSError, match="File too large"):
        read_text(path)


@pytest.mark.parametrize("make", STRANGERS, ids=lambda make: make.__name__)
def test_nobody_waits_for_what_is_in_the_pidfiles_place(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "supervisor.pid"
    make(path)
    assert owner(path) is None
    assert wait_released(path, 5)
    end_recorded_groups(path)
    if os.path.lexists(path):  # a directory; the rest is gone with the ledger
        with pytest.raises(OSError, match="directory"):
            Pidfile.acquire(path)


@pytest.mark.parametrize("make", STRANGERS, ids=lambda make: make.__name__)
def test_a_lock_needs_a_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "addresses.lock"
    make(path)
    with locked(path, 1):
        assert path.is_file()
