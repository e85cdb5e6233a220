"""Running the tools that a release is built with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class BuildError(Exception):
    """A release cannot be built; the message is for a person."""


def python_module(*words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run `python -m WORD…` with this Python.

    Args:
        words: the module and its arguments.
        cwd: the directory that it runs in; the current one by default.
        env: variables that are set in addition.

    Raises:
        BuildError: it fails; the message holds its output.
    """
    command = [sys.executable, "-m", *map(str, words)]
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
