"""Start times and the pidfile."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from kubectl_localize.host.process import Pidfile, owner, start_time, wait_released

HOLDER = """
import sys
from pathlib import Path
from kubectl_localize.host.process import Pidfile
held = Pidfile.acquire(Path(sys.argv[1]))
print("held" if held else "refused", flush=True)
if sys.stdin.readline():
    held.leave()
    print("left", flush=True)
sys.stdin.read()
"""


def test_start_time_is_now_for_a_new_process_and_none_for_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = start_time(process.pid)
        assert started is not None
        assert abs(time.time() - started) < 5
        process.kill()
    assert start_time(process.pid) is None
    assert start_time(-1) is None


def test_an_ended_process_has_no_start_time_though_its_parent_has_not_looked() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read()  # its end
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert start_time(process.pid) is None


def test_one_holder_at_a_time_and_the_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    assert owner(path) is None
    held = Pidfile.acquire(path)
    assert held is not None
    assert owner(path) == os.getpid()
    content = json.loads(path.read_text())
    assert content == {"pid": os.getpid(), "createTime": start_time(os.getpid())}
    before = time.monotonic()
    assert Pidfile.acquire(path) is None
    assert time.monotonic() - before < 0.5
    held.release()
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
    held = Pidfile.acquire(path)
    assert held is not None
    assert json.loads(path.read_text())["pid"] == os.getpid()
    held.release()


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
    held = Pidfile.acquire(path)
    assert held is not None
    assert not wait_released(path, 0)
    held.release()
    assert wait_released(path, 0)


def test_a_reader_for_a_moment_does_not_refuse_us(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("{}")
    reader = os.open(path, os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    timer = threading.Timer(0.05, os.close, [reader])
    timer.start()
    held = Pidfile.acquire(path)
    assert held is not None
    held.release()
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
    held = Pidfile.acquire(path)
    assert held is not None
    assert path.stat().st_ino != removed[0]
    assert owner(path) == os.getpid()
    held.release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "1"}'])
def test_a_held_file_that_says_nothing_has_no_known_owner(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    held = Pidfile.acquire(path)
    assert held is not None
    path.write_text(content)
    assert owner(path) is None
    held.release()


def test_a_place_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Pidfile.acquire(tmp_path / "missing" / "pid")


def test_reading_the_owner_needs_no_psutil() -> None:
    check = (
        "import sys; from pathlib import Path; from kubectl_localize.host.process import owner;"
        "owner(Path(sys.executable)); print('psutil' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout == "False\n"
