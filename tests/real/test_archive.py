"""The archive as one file: how it starts, unpacks and cleans up, and what it says if it cannot."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster.commands import ClusterError, run, wait_until
from tests.cluster.paths import Cache
from tests.cluster.prepare import Preparation
from tests.environment import Environment
from tests.real.archives import Copied, platform_of_this_machine
from tests.real.product import assert_fails
from tests.real.sandbox import Sandbox
from tests.real.traffic import Figure
from tests.releases import OLDER, Releases

pytestmark = pytest.mark.timeout(600)  # the first test of all builds the releases, one fetches an old Python

ROUNDS = 15
OVER_THE_WHEEL_SECONDS = 0.15
AT_ONCE = 20
NOTHING_RUNS = {"apiVersion": "localize/v1", "kind": "List", "supervisors": [], "items": []}
IMPORTS = """
import sys; sys.path.insert(0, sys.argv[1])
import argcomplete, h11, psutil, sh, tabulate, yaml
assert all(package.__file__.startswith(sys.argv[1]) for package in (argcomplete, h11, psutil, sh, tabulate, yaml))
print(psutil.Process().pid > 0, yaml.safe_load("a: 1"), ".".join(map(str, sys.version_info[:3])))
"""


@pytest.fixture
def copied(releases: Releases, tmp_path: Path) -> Copied:
    """This checkout's archive, never started yet."""
    return Copied(releases.current(), tmp_path)


def _is_unpacking(copied: Copied) -> bool:
    return copied.program.exists() and any(name.startswith(".tmp-") for name in copied.unpacked())


def test_it_starts_nearly_as_fast_as_the_wheel(copied: Copied, figure: Figure) -> None:
    def seconds(*command: str | Path) -> float:
        began = time.perf_counter()
        subprocess.run([*command, "ls", "-o", "json"], env=copied.env({}), check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    first = seconds(copied.file)
    wheel, archive = Environment.of_checkout().command, copied.file
    pairs = [(seconds(wheel), seconds(archive)) for _ in range(ROUNDS)]
    usual = statistics.median(pair[0] for pair in pairs)
    over = statistics.median(pair[1] for pair in pairs) - usual
    figure(f"archive: `ls` starts in {usual + over:.3f} s, the wheel's in {usual:.3f} s; the first start {first:.2f} s")
    assert over <= OVER_THE_WHEEL_SECONDS


def test_many_first_starts_at_once(copied: Copied) -> None:
    processes = [copied.start("ls", "-o", "json") for _ in range(AT_ONCE)]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * AT_ONCE, said
    assert [json.loads(stdout) for stdout, _ in said] == [NOTHING_RUNS] * AT_ONCE
    assert len(copied.unpacked()) == 1


def test_one_that_is_killed_while_it_unpacks_leaves_nothing_that_the_next_one_trips_over(copied: Copied) -> None:
    with copied.start("ls") as process:
        wait_until("unpacking", lambda: _is_unpacking(copied), 20, every_seconds=0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert all(name.startswith(".tmp-") for name in copied.unpacked()), "it was killed too late"
    assert copied.run("ls").returncode == 0
    (build,) = copied.unpacked()
    assert not build.startswith(".tmp-")


def test_ctrl_c_while_it_unpacks(copied: Copied) -> None:
    with copied.start("ls") as process:
        wait_until("unpacking", lambda: _is_unpacking(copied), 20, every_seconds=0.001)
        process.send_signal(signal.SIGINT)
        said = process.communicate()
    assert said == ("", "")
    assert process.returncode == 130
    assert all(name.startswith(".tmp-") for name in copied.unpacked()), "it was interrupted too late"
    assert copied.run("ls").returncode == 0
    assert len(copied.unpacked()) == 1


def test_another_version_takes_the_old_one_away_but_not_from_under_a_process(
    releases: Releases, tmp_path: Path
) -> None:
    copied = Copied(releases.older(), tmp_path)
    with copied.start("ls", "-w", "-o", "json") as watching:
        try:
            assert watching.stdout is not None
            assert json.loads(watching.stdout.readline()) == NOTHING_RUNS
            (old,) = copied.unpacked()
            copied.take(releases.current())
            assert copied.run("ls").returncode == 0
            new = [name for name in copied.unpacked() if name != old]
            assert len(new) == 1
            assert old in copied.unpacked(), "a process runs from it"
        finally:
            watching.kill()
            watching.communicate()
    assert old.startswith(f"{OLDER}-")
    assert copied.run("ls").returncode == 0
    assert copied.unpacked() == new


def test_what_it_carries_comes_before_what_the_environment_names(copied: Copied, tmp_path: Path) -> None:
    for name in ("kubectl_localize", "yaml", "psutil"):
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "__init__.py").write_text("raise SystemExit('somebody else')\n")
    done = copied.run("ls", "-o", "yaml", env={"PYTHONPATH": str(tmp_path / "other")})
    assert done.returncode == 0, done.stderr
    assert "items: []" in done.stdout


def test_its_home_may_be_elsewhere(copied: Copied, tmp_path: Path) -> None:
    assert copied.run("ls", env={"KUBECTL_LOCALIZE_HOME": str(tmp_path / "other")}).returncode == 0
    assert not (copied.home / ".kube").exists()
    assert len(list((tmp_path / "other" / "program").glob("*/kubectl_localize"))) == 1


def test_every_python_here_shares_what_is_unpacked(copied: Copied, figure: Figure) -> None:
    assert copied.run("ls").returncode == 0
    (build,) = copied.unpacked()
    ran = []
    for python in _pythons("python3.1[1-9]"):
        done = subprocess.run(
            [python, "-c", IMPORTS, copied.program / build], env=copied.env({}), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{python}: {done.stderr}"
        assert done.stdout.startswith("True {'a': 1} "), done.stdout
        ran.append(done.stdout.split()[-1])
        assert subprocess.run([python, copied.file, "ls"], env=copied.env({}), check=False).returncode == 0
    assert len(copied.unpacked()) == 1
    figure(f"archive: one unpacked copy ran with Python {', '.join(sorted(set(ran)))}")
    assert ran, "at least the one that runs these tests"


def _pythons(pattern: str) -> list[str]:
    """The Pythons of that name on this machine that run: in the PATH, and where pyenv keeps them."""
    places = [Path(name) for name in os.get_exec_path()] + [Path(sys.executable).resolve().parent]
    places += sorted(Path.home().glob(".pyenv/versions/*/bin"))
    found = {
        str(path.resolve()) for place in places for path in place.glob(pattern) if not path.name.endswith("-config")
    }
    return sorted(python for python in found if _runs(python))


def _runs(python: str) -> bool:
    try:
        run(python, "-c", "")
    except (ClusterError, OSError):
        return False
    return True


@pytest.fixture(scope="session")
def older_pythons() -> list[tuple[str, str]]:
    """Pythons that are too old, and a LD_LIBRARY_PATH for each: Debian's PyPy, and all that this machine has."""
    root = Preparation(Cache.default()).older_python()
    (library,) = root.glob("usr/lib/*-linux-gnu")
    others = [*_pythons("python2.7"), *_pythons("python3.[0-9]"), *_pythons("python3.10")]
    return [(str(root / "usr/bin/pypy3.9"), str(library)), *((python, "") for python in others)]


def test_a_python_that_is_too_old_says_so(
    copied: Copied, older_pythons: list[tuple[str, str]], figure: Figure, tmp_path: Path
) -> None:
    ran = []
    for number, (python, library) in enumerate(older_pythons):
        path = tmp_path / f"path-{number}"
        path.mkdir()
        (path / "python3").symlink_to(python)
        alone = {"PATH": str(path), "LD_LIBRARY_PATH": library}
        version = _version(python, library)
        done = copied.run("ls", env=alone)
        assert_fails(
            done, rf"^error: kubectl localize needs Python 3\.11 or later, and \S+ is Python {version}$", "install"
        )
        assert done.stderr.count("\n") == 2
        assert not (copied.home / ".kube").exists()

        (path / "python3.11").symlink_to(shutil.which("false") or "/bin/false")
        assert_fails(copied.run("ls", env=alone), "needs Python 3.11 or later")
        ran.append(version)
    assert "3.9" in ran
    figure(f"archive: the sentence was said by Python {', '.join(ran)}")


def _version(python: str, library: str) -> str:
    code = "import sys; sys.stdout.write('%d.%d' % tuple(sys.version_info[:2]))"
    return run(python, "-c", code, env={"LD_LIBRARY_PATH": library})


def test_a_newer_python_in_the_path_takes_over_from_an_old_one(
    copied: Copied, older_pythons: list[tuple[str, str]], tmp_path: Path
) -> None:
    python, library = older_pythons[0]
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "python3").symlink_to(python)
    (tmp_path / "path" / f"python3.{sys.version_info.minor}").symlink_to(sys.executable)
    done = copied.run("ls", "-o", "json", env={"PATH": str(tmp_path / "path"), "LD_LIBRARY_PATH": library})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == NOTHING_RUNS


def test_the_file_of_another_platform_says_so(releases: Releases, copied: Copied) -> None:
    release = releases.current()
    other = next(name for name in release.archives if name != platform_of_this_machine())
    copied.take(release, release.archives[other])
    assert_fails(
        copied.run("ls"),
        rf"^error: this file is kubectl localize for {other}, and this machine is {platform_of_this_machine()}$",
        f"take the file for {platform_of_this_machine()}, or install it with pipx",
    )
    assert not (copied.home / ".kube").exists()


@pytest.mark.sudo
def test_under_sudo_it_refuses_and_leaves_nothing(copied: Copied) -> None:
    done = copied.run("ls", env={"SUDO_UID": "1000"})
    assert_fails(done, "does not run under sudo", "run it as yourself", code=2)
    assert not (copied.home / ".kube").exists()


# If the disk is full or may not be written to ----------------------------------------------------------------


@pytest.fixture
def guest(sandbox: Sandbox, releases: Releases) -> Copied:
    """The archive in the sandbox's home; its `.kube` is there and is to be mounted over."""
    copied = Copied(releases.current(), sandbox.root / "copied")
    copied.home = sandbox.home
    (sandbox.home / ".kube" / "localize").mkdir(exist_ok=True)
    sandbox.give(sandbox.home / ".kube" / "localize")
    return copied


def _in(sandbox: Sandbox, guest: Copied) -> subprocess.CompletedProcess[str]:
    return sandbox.run(str(guest.file), "ls", "-o", "json")


def test_a_home_that_may_not_be_written_to(sandbox: Sandbox, guest: Copied) -> None:
    state = sandbox.home / ".kube" / "localize"
    sandbox.mount("-t", "tmpfs", "-o", f"ro,uid={sandbox.uid},mode=0700", "tmpfs", str(state))
    done = _in(sandbox, guest)
    assert_fails(
        done,
        rf"^error: kubectl localize cannot be unpacked to {state}/program: Read-only file system$",
        "make it writable, or set KUBECTL_LOCALIZE_HOME",
    )
    elsewhere = sandbox.run(str(guest.file), "ls", env={"KUBECTL_LOCALIZE_HOME": "/tmp/localize"})
    assert elsewhere.returncode == 0, elsewhere.stderr


def test_an_unpacked_one_runs_from_a_home_that_may_no_longer_be_written_to(sandbox: Sandbox, guest: Copied) -> None:
    assert _in(sandbox, guest).returncode == 0
    state = str(sandbox.home / ".kube" / "localize")
    sandbox.bind(Path(state), state)
    sandbox.mount("-o", "remount,bind,ro", state)
    done = _in(sandbox, guest)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kilobytes", [4, 64, 512])
def test_a_full_disk(sandbox: Sandbox, guest: Copied, kilobytes: int) -> None:
    state = sandbox.home / ".kube" / "localize"
    options = f"uid={sandbox.uid},gid={sandbox.uid},mode=0700"
    sandbox.mount("-t", "tmpfs", "-o", f"size={kilobytes}k,{options}", "tmpfs", str(state))
    done = _in(sandbox, guest)
    assert_fails(
        done,
        rf"^error: kubectl localize cannot be unpacked to {state}/program: No space left on device$",
        "free some space .* or set KUBECTL_LOCALIZE_HOME",
    )
    left = sandbox.run("find", str(state), "-type", "f").stdout.split()
    assert left in ([], [f"{state}/program/lock"])
    sandbox.mount("-o", f"remount,size=20m,{options}", str(state))
    done = _in(sandbox, guest)
    assert done.returncode == 0, done.stderr
