"""The wheel and the sdist, built from a copy of the sources, so that nothing else in the checkout gets into them."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path

from krew.archive import EPOCH_SECONDS, packed
from krew.commands import BuildError, python_module

LOCK = Path(__file__).resolve().parent / "build.txt"
FILES = ("LICENSE", "README.md", "pyproject.toml", "setup.cfg")
PACKAGE = "kubectl_localize"


def build(checkout: Path, out: Path) -> None:
    """Build both. Building twice gives the same bytes.

    Args:
        checkout: the repository.
        out: the directory that they are built into.

    Raises:
        BuildError: the build fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "sources"
        _copy(checkout, copy)
        work = Path(directory) / "built"
        _build("--wheel", copy, work)
        _build("--sdist", copy, work)
        wheel, sdist = only(work, "*.whl"), only(work, "*.tar.gz")
        out.mkdir(parents=True, exist_ok=True)
        (out / sdist.name).write_bytes(_same_every_time(sdist))
        shutil.copyfile(wheel, out / wheel.name)


def build_wheel(sources: Path, out: Path) -> Path:
    """Build a wheel with the locked tools.

    Args:
        sources: unpacked, such as those of the sdist.
        out: the directory that it is built into.

    Returns:
        The wheel.

    Raises:
        BuildError: the build fails.
    """
    _build("--wheel", sources, out)
    return only(out, "*.whl")


def _build(what: str, sources: Path, out: Path) -> None:
    tools = {"PIP_CONSTRAINT": str(LOCK), "SOURCE_DATE_EPOCH": str(EPOCH_SECONDS)}
    python_module("build", what, "--outdir", out, cwd=sources, env=tools)


def _copy(checkout: Path, copy: Path) -> None:
    """Copy what a build needs, with the same modes whatever the checkout's are: a wheel keeps them."""
    copy.mkdir()
    shutil.copytree(checkout / PACKAGE, copy / PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in FILES:
        shutil.copyfile(checkout / name, copy / name)
    for path in copy.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _same_every_time(sdist: Path) -> bytes:
    """Return an sdist's content, packed so that it depends only on the sources."""
    files = []
    with tarfile.open(sdist) as tar:
        for about in tar:
            file = tar.extractfile(about)
            if about.isfile() and file is not None:
                files.append((about.name, file.read(), 0o644))
    return packed(files)


def only(directory: Path, pattern: str) -> Path:
    """Return the only file of a directory that matches a pattern.

    Raises:
        BuildError: there is none, or more than one.
    """
    files = list(directory.glob(pattern))
    if len(files) != 1:
        raise BuildError(f"{len(files)} files {pattern} in {directory} instead of one")
    return files[0]
