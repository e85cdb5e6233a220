"""Results: counted from pytest's own report, kept, and believed for the same sources only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.matrix.combination import Combination
from tests.matrix.result import Result, count, read, write

SUITE = """
import pytest
def test_good(): pass
def test_good_too(): pass
def test_bad(): assert False
@pytest.mark.skip
def test_skipped(): pass
@pytest.fixture
def broken(): raise RuntimeError
def test_error(broken): pass
@pytest.fixture
def untidy():
    yield
    raise RuntimeError
def test_left_something(untidy): pass
"""


def test_counted_from_pytests_own_report(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    report = tmp_path / "report.xml"
    argv = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", f"--junitxml={report}", str(tmp_path)]
    subprocess.run(argv, capture_output=True, timeout=60, check=False)
    passed, failed = count(report.read_text())
    assert passed == 2
    assert failed == 3


def test_a_broken_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text("import no_such_module")
    report = tmp_path / "report.xml"
    argv = [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", f"--junitxml={report}", str(tmp_path)]
    subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert count(report.read_text()) == (0, 1)


def test_kept_and_read_again(tmp_path: Path) -> None:
    one = Result(Combination("1.27", "3.11"), "2026-11-26", "key", "v1.27.3", "3.11.2", 2, 1, others=(("ssh", "9"),))
    assert read(tmp_path, one.combination, "key") is None
    write(tmp_path / "new", one)
    assert read(tmp_path / "new", one.combination, "key") == one
    assert read(tmp_path / "new", one.combination, "other sources") is None
    assert read(tmp_path / "new", Combination("1.29", "3.11"), "key") is None
