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
# The lock names PyYAML's wheel for this platform, of which only what is the same everywhere is taken.
PURE_FROM = "manylinux_2_28_x86_64"
KEPT_OF_METADATA = ("METADATA", "LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS")
LEFT_OUT = (".pyi", "/py.typed", "/")


def carried_wheels(cache: Path, platform: Platform) -> list[Path]:
    """The wheels of all packages that an archive for this platform carries, downloaded unless they are in the cache.

    Raises: BuildError where one is not to be had, or is another one than the lock says.
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
    """What is taken of these wheels, by path: code and data, and of the metadata the description and the licence.

    What serves one version of Python only, such as PyYAML's compiled half, is left out.
    """
    found: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as content:
            found.update((name, content.read(name)) for name in content.namelist() if is_taken(name))
    return found


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
