"""The pidfile, and how a module of ours is started: installed, and unpacked from an archive."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from kubectl_localize.host.process import STARTER, Pidfile, module_argv, owner, wait_released
from kubectl_localize.host.system import this_system
from tests.cluster.paths import CHECKOUT

MODULE = "import os, sys\nprint(__name__, *sys.argv[1:], os.environ.get('PYTHONPATH', '-'))\n"

HOLDER = """
import sys
from pathlib import Path
from kubectl_localize.host.process import Pidfile
pidfile = Pidfile.acquire(Path(sys.argv[1]))
print("held" if pidfile else "refused", flush=True)
if sys.stdin.readline():
    pidfile.leave()
    print("left", flush=True)
sys.stdin.read()
"""


def test_one_holder_at_a_time_and_the_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    assert owner(path) is None
    pidfile = Pidfile.acquire(path)
    assert pidfile is not None
    assert owner(path) == os.getpid()
    content = json.loads(path.read_text())
    assert content == {"pid": os.getpid(), "started": this_system().start_mark(os.getpid())}
    before = time.monotonic()
    assert Pidfile.acquire(path) is None
    assert time.monotonic() - before < 0.5
    pidfile.release()
    assert not path.exists()
    assert owner(path) is None


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert owner(path) == process.pid
        assert Pidfile.acquire(path) is None
        process.kill()
    assert owner(path) is None
    pidfile = Pidfile.acquire(path)
    assert pidfile is not None
    assert json.loads(path.read_text())["pid"] == os.getpid()
    pidfile.release()


def test_who_waits_for_a_holder_waits_for_its_end_though_the_file_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with (
        ThreadPoolExecutor(1) as pool,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        waiting = pool.submit(wait_released, path, 20)
        assert not wait([waiting], 0.2).done
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "left\n"
        assert not path.exists()
        assert owner(path) is None
        assert not wait([waiting], 0.2).done
        process.kill()
        assert waiting.result()


def test_nobody_waits_where_nobody_holds_or_longer_than_they_want(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    assert wait_released(path, 0)
    pidfile = Pidfile.acquire(path)
    assert pidfile is not None
    assert not wait_released(path, 0)
    pidfile.release()
    assert wait_released(path, 0)


def test_a_reader_for_a_moment_does_not_refuse_us(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("{}")
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    timer = threading.Timer(0.05, os.close, [reader])
    timer.start()
    pidfile = Pidfile.acquire(path)
    assert pidfile is not None
    pidfile.release()
    timer.join()


def test_a_file_that_is_removed_while_it_is_waited_for_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pid"
    flock = fcntl.flock
    removed: list[int] = []

    def removing(descriptor: int, kind: int) -> None:
        if not removed:
            removed.append(path.stat().st_ino)
            path.rename(tmp_path / "old")  # keeps the inode's number from being used again
        flock(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", removing)
    pidfile = Pidfile.acquire(path)
    assert pidfile is not None
    assert path.stat().st_ino != removed[0]
    assert owner(path) == os.getpid()
    pidfile.release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "1"}'])
def test_a_held_file_that_says_nothing_has_no_known_owner(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    pidfile = Pidfile.acquire(path)
    assert pidfile is not None
    path.write_text(content)
    assert owner(path) is None
    pidfile.release()


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Pidfile.acquire(tmp_path / "missing" / "pid")


@pytest.mark.skipif(sys.platform == "darwin", reason="psutil serves macOS there")
def test_the_pidfile_needs_no_psutil_which_takes_30_ms_to_import(tmp_path: Path) -> None:
    check = (
        "import sys; from pathlib import Path; from kubectl_localize.host.process import Pidfile, owner;"
        "path = Path(sys.argv[1]); pidfile = Pidfile.acquire(path); owner(path); print('psutil' in sys.modules)"
    )
    command = [sys.executable, "-c", check, str(tmp_path / "pid")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_installed_a_module_is_one_of_this_python() -> None:
    assert module_argv("kubectl_localize.supervisor", "5", "key")[1:] == [
        "-P", "-X", "utf8", "-m", "kubectl_localize.supervisor", "5", "key"
    ]  # fmt: skip


def test_a_module_from_an_archive_is_found_without_the_environments_help(tmp_path: Path) -> None:
    package = tmp_path / "place" / "kubectl_localize"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "said.py").write_text(MODULE)
    (tmp_path / "place" / ".held").touch()
    shutil.copyfile(CHECKOUT / "krew" / "carried" / "start.py", tmp_path / "place" / STARTER)
    command = module_argv("kubectl_localize.said", "one", "two", package=package)
    assert command[0] == sys.executable
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "__main__ one two -\n"
