"""Unpacking an archive: complete or absent, old builds away but for those in use."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from krew.carried.start import HELD, hold
from krew.carried.unpack import LOCK, PACKAGES, TEMPORARY, UnpackError, check_platform, clean, home, is_sudo, ready
from kubectl_localize.cli import main
from kubectl_localize.host.paths import Paths
from tests.cluster.paths import CHECKOUT

HOLDER = """
import sys; sys.path.insert(0, sys.argv[1])
from krew.carried.start import hold
print(hold(sys.argv[2]), flush=True); input()
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive with a package of two files."""
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("__main__.py", "")
        file.writestr(PACKAGES + "one/__init__.py", "VALUE = 1\n")
        file.writestr(PACKAGES + "one/data/words.txt", "words\n")
    return path


def _build(directory: Path, name: str) -> Path:
    (directory / name).mkdir(parents=True)
    (directory / name / HELD).touch()
    return directory / name


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/home/me"},
        {"HOME": "/home/me", "KUBECTL_LOCALIZE_HOME": ""},
        {"HOME": "/home/me", "KUBECTL_LOCALIZE_HOME": "/elsewhere/x"},
        {"HOME": "/home/me", "KUBECTL_LOCALIZE_HOME": "relative/x"},
        {"HOME": "/home/me", "KUBECTL_LOCALIZE_HOME": "~/x"},
        {},
    ],
)
def test_home_and_sudo_are_seen_as_the_program_sees_them(environ: Mapping[str, str]) -> None:
    assert home(environ) == str(Paths.from_env(environ).root)
    for uid in (0, 1000):
        for environ_of_sudo in ({}, {"SUDO_UID": ""}, {"SUDO_UID": "0"}, {"SUDO_UID": "1000"}):
            assert is_sudo(uid, environ_of_sudo) == main.is_sudo(uid, environ_of_sudo)


def test_it_is_unpacked_once_for_its_user_alone(archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / "state" / "program"
    place = Path(ready(str(archive), str(directory), "1.0-abc"))
    assert place == directory / "1.0-abc"
    assert {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} == {
        HELD, "one/__init__.py", "one/data/words.txt"
    }  # fmt: skip
    for path in (tmp_path / "state", directory, place, place / "one", place / "one" / "__init__.py"):
        assert path.stat().st_mode & 0o077 == 0, path
    archive.unlink()
    assert ready(str(archive), str(directory), "1.0-abc") == str(place)
    assert sorted(os.listdir(directory)) == ["1.0-abc", LOCK]


def test_what_somebody_deleted_in_part_is_unpacked_anew(archive: Path, tmp_path: Path) -> None:
    place = Path(ready(str(archive), str(tmp_path / "program"), "1.0-abc"))
    (place / HELD).unlink()
    (place / "one" / "__init__.py").unlink()
    ready(str(archive), str(tmp_path / "program"), "1.0-abc")
    assert (place / "one" / "__init__.py").exists()
    assert sorted(os.listdir(place.parent)) == ["1.0-abc", LOCK]


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o1777])
@pytest.mark.parametrize("where", [".", "program", "program/1.0-abc"])
def test_nothing_is_run_from_a_directory_that_others_may_write_to(
    archive: Path, tmp_path: Path, where: str, mode: int
) -> None:
    state = tmp_path / "state"
    ready(str(archive), str(state / "program"), "1.0-abc")
    (state / where).chmod(mode)
    with pytest.raises(UnpackError, match=rf"others may write to {(state / where)}, .* \(mode {mode:04o}\)") as caught:
        ready(str(archive), str(state / "program"), "1.0-abc")
    assert f"`chmod go-w {state / where}`" in caught.value.hint
    (state / where).chmod(0o755)
    ready(str(archive), str(state / "program"), "1.0-abc")


def test_a_broken_archive_leaves_nothing_half_done(archive: Path, tmp_path: Path) -> None:
    content = bytearray(archive.read_bytes())
    at = content.index(b"VALUE")
    content[at : at + 5] = b"value"  # the checksum in the archive is another one
    archive.write_bytes(content)
    with pytest.raises(UnpackError, match=f"{archive} is damaged"):
        ready(str(archive), str(tmp_path / "program"), "1.0-abc")
    assert os.listdir(tmp_path / "program") == [LOCK]


def test_where_it_cannot_be_unpacked_it_says_so(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnpackError, match=r"cannot be unpacked to .*file/program: Not a directory") as caught:
        ready(str(archive), str(tmp_path / "file" / "program"), "1.0-abc")
    assert "KUBECTL_LOCALIZE_HOME" in caught.value.hint


def test_other_builds_go_unless_a_process_runs_from_them(archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / "program"
    used, unused, half = _build(directory, "0.8-used"), _build(directory, "0.9-free"), directory / f"{TEMPORARY}x"
    (half / "one").mkdir(parents=True)
    command = [sys.executable, "-c", HOLDER, str(CHECKOUT), str(used)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        ready(str(archive), str(directory), "1.0-abc")
        assert used.exists()
        assert not unused.exists()
        assert not half.exists()
        holder.communicate("\n")
    ready(str(archive), str(directory), "1.0-abc")
    assert not used.exists()


def test_one_that_another_command_is_unpacking_is_left_alone(archive: Path, tmp_path: Path) -> None:
    """It holds the lock meanwhile; and so this one cleans nothing up."""
    directory = tmp_path / "program"
    ready(str(archive), str(directory), "1.0-abc")
    half = directory / f"{TEMPORARY}x"
    half.mkdir()
    with open(directory / LOCK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready(str(archive), str(directory), "1.0-abc")
        assert half.exists()
    ready(str(archive), str(directory), "1.0-abc")
    assert not half.exists()


def test_one_that_was_stopped_while_it_unpacked_holds_up_nobody(archive: Path, tmp_path: Path) -> None:
    directory = tmp_path / "program"
    directory.mkdir(mode=0o700)
    with open(directory / LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        place = Path(ready(str(archive), str(directory), "1.0-abc", wait_seconds=0.05))
    assert (place / "one" / "__init__.py").exists()


def test_a_build_that_is_gone_cannot_be_held(tmp_path: Path) -> None:
    place = _build(tmp_path, "1.0-abc")
    assert hold(str(place))
    assert not hold(str(tmp_path / "another"))


@pytest.mark.parametrize(
    ("wanted", "system", "machine", "libc"),
    [
        ("linux-amd64", "Linux", "x86_64", "glibc 2.36"),
        ("linux-arm64", "Linux", "aarch64", "glibc 2.36"),
        ("darwin-amd64", "Darwin", "x86_64", ""),
        ("darwin-arm64", "Darwin", "arm64", ""),
    ],
)
def test_each_platform_takes_its_own_file(wanted: str, system: str, machine: str, libc: str) -> None:
    check_platform(wanted, system, machine, libc)
    with pytest.raises(UnpackError, match="for plan9-mips, and this machine is " + wanted):
        check_platform("plan9-mips", system, machine, libc)


def test_a_linux_without_glibc_is_told_what_to_do() -> None:
    with pytest.raises(UnpackError, match="needs a Linux with glibc") as caught:
        check_platform("linux-amd64", "Linux", "x86_64", "")
    assert "pipx" in caught.value.hint


def test_strange_files_stay(tmp_path: Path) -> None:
    _build(tmp_path, "1.0-abc")
    (tmp_path / "mine.txt").touch()
    (tmp_path / "mine").mkdir()
    clean(str(tmp_path), "1.0-abc")
    assert sorted(os.listdir(tmp_path)) == ["1.0-abc", "mine", "mine.txt"]
