"""Where a Python of some minor version comes from: the PATH or pyenv; one in somebody's home is copied out of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.cluster.commands import ClusterError, run, succeeds
from tests.cluster.images import SYSTEM_PYTHON
from tests.cluster.paths import Cache
from tests.cluster.prepare import Preparation, for_everybody

# Not needed to run a program, and most of an installation's size.
LEFT_OUT = ("test", "tests", "idlelib", "turtledemo", "__pycache__", "*.a", "config-*", "site-packages", "pkgconfig")


def python(minor: str, copies: Path) -> Path:
    """A Python of this minor version (`3.12`) that every user can run.

    Args:
        copies: where a copy is made if the only one there is lies in a home that others cannot enter.

    Raises:
        ClusterError: there is none.
    """
    for candidate in _candidates(minor):
        if version(candidate).rpartition(".")[0] == minor:
            # By what it says of itself: the file in the PATH may be a script that chooses one.
            real = Path(run(candidate, "-I", "-c", "import sys; print(sys.executable)").strip()).resolve()
            return real if for_everybody(real) else _copy(real, minor, copies)
    raise ClusterError(f"no Python {minor} in the PATH or in pyenv")


def version(interpreter: Path) -> str:
    """What it says, such as `3.12.1`; empty if it does not run."""
    try:
        return run(interpreter, "-I", "-c", "import platform; print(platform.python_version())").strip()
    except (ClusterError, OSError):
        return ""


def _candidates(minor: str) -> list[Path]:
    found = [SYSTEM_PYTHON, *(Path(directory) / f"python{minor}" for directory in os.get_exec_path())]
    if shutil.which("pyenv"):
        root = Path(run("pyenv", "root").strip())
        found += sorted(root.glob(f"versions/{minor}.*/bin/python{minor}"), reverse=True)
    return [file for file in found if file.exists()]


def _copy(interpreter: Path, minor: str, copies: Path) -> Path:
    """Copy the installation that an interpreter belongs to; it finds itself by where it is."""
    prefix = Path(run(interpreter, "-I", "-c", "import sys; print(sys.base_prefix)").strip())
    target = copies / f"python-{minor}"
    binary = target / "bin" / f"python{minor}"
    if binary.exists():
        return binary
    shutil.rmtree(target, ignore_errors=True)
    ignore = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(prefix / "lib" / f"python{minor}", target / "lib" / f"python{minor}", ignore=ignore)
    for library in (prefix / "lib").glob(f"libpython{minor}*.so*"):
        shutil.copy2(library, target / "lib" / library.name)
    binary.parent.mkdir()
    new = binary.with_name("new")
    shutil.copy2((prefix / "bin" / f"python{minor}").resolve(), new)
    if list((target / "lib").glob("libpython*")):
        run(Preparation(Cache.default()).patchelf(), "--set-rpath", "$ORIGIN/../lib", new)
    new.rename(binary)
    if not succeeds(binary, "-I", "-c", "import ensurepip, ssl, venv"):
        raise ClusterError(f"a copy of {interpreter} does not run")
    return binary
