"""The packages that an archive carries: downloaded in the locked versions, and what is taken of them."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from pathlib import Path

from krew.commands import python_module
from krew.platforms import Platform

HERE = Path(__file__).resolve().parent
PURE = HERE / "pure.txt"
COMPILED = HERE / "compiled.txt"
OLDEST_PYTHON = "3.11"
# The lock names PyYAML's wheel for this platform; only what is the same on all of them is taken of it.
PURE_FROM = "manylinux_2_28_x86_64"
KEPT_OF_METADATA = ("METADATA", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")
LEFT_OUT = (".pyi", "/py.typed", "/")


def carried_wheels(cache: Path, platform: Platform) -> list[Path]:
    """Return the wheels of all packages that an archive carries.

    Args:
        cache: the directory that keeps them; what is missing there is downloaded.
        platform: the archive's.

    Raises:
        BuildError: a wheel cannot be downloaded, or is not what the lock file says.
    """
    return [*_download(cache, PURE, PURE_FROM), *_download(cache, COMPILED, platform.wheels)]


def _download(cache: Path, lock: Path, tag: str) -> list[Path]:
    """Download what a lock file names; a directory in the cache is complete or absent."""
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    place = cache / f"{lock.stem}-{tag}-{digest}"
    if not place.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            new = Path(directory) / "wheels"
            python_module(
                "pip", "download", "-q", "--disable-pip-version-check", "--require-hashes", "--no-deps",
                "--only-binary=:all:", f"--python-version={OLDEST_PYTHON}", "--implementation=cp",
                "--abi=abi3", f"--abi=cp{OLDEST_PYTHON.replace('.', '')}", "--abi=none",
                f"--platform={tag}", f"--dest={new}", f"--requirement={lock}",
            )  # fmt: skip
            try:
                new.rename(place)
            except OSError:
                if not place.exists():  # another build may have been quicker
                    raise
    return sorted(place.glob("*.whl"))


def contents(wheels: list[Path]) -> dict[str, bytes]:
    """Return what an archive takes of these wheels, by path: code, data, and of the metadata description and licence.

    What serves only one version of Python is left out, such as PyYAML's compiled half.
    """
    taken: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as content:
            taken.update((name, content.read(name)) for name in content.namelist() if is_taken(name))
    return taken


def is_taken(name: str) -> bool:
    """Whether a wheel's file belongs in an archive."""
    directory, _, rest = name.partition("/")
    if directory.endswith(".data"):
        return False
    if directory.endswith(".dist-info"):
        return rest.rpartition("/")[2].startswith(KEPT_OF_METADATA)
    if name.endswith(".so"):
        return name.endswith(".abi3.so")
    return not name.endswith(LEFT_OUT)
