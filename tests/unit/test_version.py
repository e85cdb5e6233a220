"""The version stands in one place, and everything that shows it has it from there."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

from kubectl_localize import __version__

CHECKOUT = Path(__file__).parent.parent.parent
RELEASE = r"## \[(\d+\.\d+\.\d+)\]( - \d{4}-\d\d-\d\d)?"


def test_it_is_a_semantic_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", __version__)


def test_the_wheel_takes_it_from_the_package() -> None:
    read = configparser.ConfigParser()
    read.read(CHECKOUT / "setup.cfg")
    assert read["metadata"]["version"] == "attr: kubectl_localize.__version__"


def test_no_other_file_of_the_package_has_it() -> None:
    files = [file for file in (CHECKOUT / "kubectl_localize").rglob("*.py") if __version__ in file.read_text()]
    assert files == [CHECKOUT / "kubectl_localize" / "__init__.py"]


def test_the_command_says_it() -> None:
    argv = [sys.executable, "-m", "kubectl_localize", "version", "--client"]
    said = subprocess.run(argv, cwd=CHECKOUT, text=True, capture_output=True, timeout=60, check=True).stdout
    assert said.splitlines()[0] == f"kubectl localize: {__version__}"


def test_the_changelog_begins_with_what_is_not_released_and_has_this_version_next() -> None:
    lines = (CHECKOUT / "CHANGELOG.md").read_text().splitlines()
    first, second = [line for line in lines if line.startswith("## ")][:2]
    assert first == "## [Unreleased]"
    found = re.fullmatch(RELEASE, second)
    assert found is not None, second
    assert found[1] == __version__.partition("-")[0]
