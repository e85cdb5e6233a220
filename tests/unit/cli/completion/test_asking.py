"""Names asked for aside: what waits, what goes on, and what is read from an answer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubectl_localize.cli.completion.asking import names_in

# A process forks safely only where it has no threads, and the tests' own has.
_ASIDE = """
import os, sys, time
from kubectl_localize.cli.completion.asking import aside
{work}
start = time.monotonic()
aside(work, float(sys.argv[1]))
print("waited" if time.monotonic() - start < 5 else "hung")
"""


def _run_aside(tmp_path: Path, work: str, wait_seconds: float) -> subprocess.CompletedProcess[str]:
    code = _ASIDE.format(work=work)
    argv = [sys.executable, "-c", code, str(wait_seconds), str(tmp_path / "done"), str(tmp_path / "gate")]
    return subprocess.run(argv, text=True, capture_output=True, timeout=60, check=False)


def test_it_waits_for_what_ends_in_time(tmp_path: Path) -> None:
    work = "def work(): open(sys.argv[2], 'w').write('done')"
    done = _run_aside(tmp_path, work, 30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "waited\n", "")
    assert (tmp_path / "done").read_text() == "done"


def test_it_does_not_wait_for_what_takes_longer_and_that_goes_on(tmp_path: Path) -> None:
    """Nor does whoever reads its output to the end, as a shell does."""
    gate = tmp_path / "gate"
    work = """
def work():
    import signal
    signal.alarm(60)  # it does not outlive a test that fails
    print("a word that nobody sees")
    os.mkfifo(sys.argv[3])
    open(sys.argv[3]).read()
    open(sys.argv[2], "w").write(str(os.getsid(0) == os.getpid()))
"""
    done = _run_aside(tmp_path, work, 0)
    assert (done.returncode, done.stdout, done.stderr) == (0, "waited\n", "")
    assert not (tmp_path / "done").exists()
    end = time.monotonic() + 20
    while not gate.exists():
        assert time.monotonic() < end
    gate.write_text("go on")
    while not (tmp_path / "done").exists() or not (tmp_path / "done").read_text():
        assert time.monotonic() < end
    assert (tmp_path / "done").read_text() == "True"


def test_what_goes_wrong_is_not_seen(tmp_path: Path) -> None:
    done = _run_aside(tmp_path, "def work(): raise ZeroDivisionError", 30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "waited\n", "")


def test_names_in_a_list() -> None:
    answer = {"items": [{"metadata": {"namespace": "shop", "name": "web"}}, {"metadata": {"name": "billing"}}]}
    assert names_in(json.dumps(answer).encode()) == ("shop/web", "billing")


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"items": [3]}', b'{"items": [{"metadata": {}}]}'])
def test_what_is_no_list(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"no list|Expecting"):
        names_in(answer)
