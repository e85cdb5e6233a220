"""Names from the cache and from the cluster: how long a Tab waits, and what goes on without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kubectl_localize.cli.completion.cluster_names import (
    ANSWER_SECONDS,
    FIRST_WAIT_SECONDS,
    FORBIDDEN_SECONDS,
    FRESH_SECONDS,
    RETRY_SECONDS,
    NameCache,
    Names,
    names_in,
    wait_seconds,
)

# A process forks safely only where it has no threads, and the tests' own has.
_ASIDE = """
import os, sys, time
from kubectl_localize.cli.completion.cluster_names import run_aside
{work}
start = time.monotonic()
run_aside(work, float(sys.argv[1]))
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


@pytest.mark.parametrize("name", ["$(reboot)", "`reboot`", "web\nrm", "web\tx", "'", "--all", "\x1b[2J", "Web", "a/b"])
def test_a_name_that_a_shell_may_take_for_more_is_left_out(name: str) -> None:
    answer = {"items": [{"metadata": {"namespace": "shop", "name": name}}, {"metadata": {"name": "billing"}}]}
    assert names_in(json.dumps(answer).encode()) == ("billing",)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b'{"items": [3]}', b'{"items": [{"metadata": {}}]}'])
def test_what_is_no_list(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"no list|Expecting"):
        names_in(answer)


# -- the cache --------------------------------------------------------------------------------------------------------
NOW, SPENT = 1_000_000.0, 0.05


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (Names(), FIRST_WAIT_SECONDS),
        (Names(("web",), NOW - 1, NOW - 1), None),
        (Names((), NOW - FRESH_SECONDS - 1, NOW - FRESH_SECONDS - 1, forbidden=True), None),
        (Names((), NOW - FORBIDDEN_SECONDS - 1, NOW - FORBIDDEN_SECONDS - 1, forbidden=True), ANSWER_SECONDS - SPENT),
        (Names(("web",), NOW - FRESH_SECONDS - 1, NOW - FRESH_SECONDS - 1), ANSWER_SECONDS - SPENT),
        (Names(("web",), NOW - 9e5, NOW - 1), None),  # the cluster was away just now
        (Names((), 0, NOW - 1), None),
        (Names((), 0, NOW - RETRY_SECONDS - 1), FIRST_WAIT_SECONDS),
        (Names(("web",), NOW + 100, NOW + 100), ANSWER_SECONDS - SPENT),  # somebody has put back the clock
    ],
)
def test_wait_seconds(names: Names, expected: float | None) -> None:
    assert wait_seconds(names, NOW, SPENT) == expected


def test_who_has_no_time_left_asks_without_waiting() -> None:
    assert wait_seconds(Names(("web",), NOW - 3600, NOW - 3600), NOW, ANSWER_SECONDS + 1) == 0


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    root = tmp_path / "kube" / "localize"
    cache = NameCache(root, "dev-1")
    assert cache.load("services") == Names()
    names = Names(("shop/web", "shop/cart"), 1.5, 2.5)
    cache.save("services", names)
    cache.save("namespaces", Names((), 3.0, 3.0, forbidden=True))
    assert NameCache(root, "dev-1").load("services") == names
    assert cache.load("namespaces").forbidden
    assert NameCache(root, "dev-2").load("services") == Names()


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    root = tmp_path / "localize"
    NameCache(root, "dev-1").save("services", Names(("shop/web",), 1.0, 1.0))
    modes = {path: path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert [path.name for path in modes if path.is_file()] == ["services.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"names": 3, "listedAt": 1, "triedAt": 1, "forbidden": false}', "\x00"]
)
def test_what_cannot_be_read_counts_as_nothing(tmp_path: Path, text: str) -> None:
    cache = NameCache(tmp_path, "dev-1")
    cache.save("services", Names(("shop/web",), 1.0, 1.0))
    (tmp_path / "completion" / "dev-1" / "services.json").write_text(text)
    assert cache.load("services") == Names()


def test_a_name_too_long_for_a_file(tmp_path: Path) -> None:
    assert NameCache(tmp_path, "dev-1").load("services." + "x" * os.pathconf("/", "PC_NAME_MAX")) == Names()
