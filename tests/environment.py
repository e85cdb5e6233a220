"""The environment in which the product is tested: nothing but the wheel, its dependencies, and a kubectl beside it.

The tests run the product as an ordinary user, who can enter neither root's home nor, often, the checkout. So it lies
below /var/tmp, one for each checkout and user, made from the distribution's Python, which everybody can run.

    python -m tests.environment make     build the wheel if the sources changed, install it, print the directory
    python -m tests.environment remove   delete it

LOCALIZE_TEST_PYTHON and LOCALIZE_TEST_KUBECTL name others than the machine's; each pair has an environment of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import ClusterError, run
from tests.cluster.images import SYSTEM_PYTHON
from tests.cluster.paths import CHECKOUT, Cache
from tests.cluster.prepare import Preparation, for_everybody

PYTHON = "LOCALIZE_TEST_PYTHON"
KUBECTL = "LOCALIZE_TEST_KUBECTL"


@dataclass(frozen=True)
class Environment:
    """Where the wheel is installed, and what was installed there.

    Args:
        python: what the product runs on; every user can run it.
        given_kubectl: a certain kubectl; the machine's if there is none.
    """

    root: Path
    python: Path = SYSTEM_PYTHON
    given_kubectl: Path | None = None

    @classmethod
    def of_checkout(cls) -> Environment:
        """The one that belongs to this checkout and user, and to the Python and kubectl that are asked for."""
        user = int(os.environ.get("SUDO_UID", os.getuid()))
        python, kubectl = os.environ.get(PYTHON), os.environ.get(KUBECTL)
        words = [str(CHECKOUT), *(f"{name}={value}" for name, value in ((PYTHON, python), (KUBECTL, kubectl)) if value)]
        key = hashlib.sha256("\0".join(words).encode()).hexdigest()[:10]
        root = Path(f"/var/tmp/localize-env-{user}-{key}")
        return cls(root, Path(python or SYSTEM_PYTHON), Path(kubectl) if kubectl else None)

    @property
    def directories(self) -> list[Path]:
        """What goes first in the PATH of whoever uses it."""
        return [self.root / "wheel" / "bin", self.root / "bin"]

    @property
    def kubectl(self) -> Path:
        """A kubectl that every user can run."""
        return self.root / "bin" / "kubectl"

    @property
    def command(self) -> Path:
        """The installed product."""
        return self.root / "wheel" / "bin" / "kubectl-localize"

    def make(self) -> None:
        """Bring it up to date with the sources."""
        (CHECKOUT / "build").mkdir(exist_ok=True)
        with open(CHECKOUT / "build" / "environment.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._own()
            requirements, sources = _keys()
            if self._is(requirements, "requirements") and self._is(sources, "sources") and self.command.exists():
                return
            (self.root / "sources").unlink(missing_ok=True)  # until it is whole again
            wheel = _build()
            # -I: in a PYTHONPATH with the checkout pip would find the product there, and leave it at that.
            python = self.root / "wheel" / "bin" / "python"
            pip = (python, "-I", "-m", "pip", "install", "-q", "--disable-pip-version-check")
            if not self._is(requirements, "requirements"):
                shutil.rmtree(self.root / "wheel", ignore_errors=True)
                run(self.python, "-m", "venv", self.root / "wheel", timeout_seconds=120)
                run(*pip, wheel, timeout_seconds=600)
            else:
                run(*pip, "--no-deps", "--force-reinstall", wheel, timeout_seconds=120)
            self._place_kubectl()
            (self.root / "requirements").write_text(requirements)
            (self.root / "sources").write_text(sources)

    def old_kubectl(self) -> Path:
        """A directory for the PATH whose kubectl is of 1.31; built when first asked for, in about a minute."""
        return self._copied("old", {"kubectl": Preparation(Cache.default()).old_kubectl()})

    def krew(self) -> Path:
        """A directory for the PATH with krew, as kubectl finds it, and the validator of its manifests."""
        built = Preparation(Cache.default()).krew()
        validator = "validate-krew-manifest"
        return self._copied("krew", {"kubectl-krew": built / "krew", validator: built / validator})

    def remove(self) -> None:
        """Delete it."""
        if self.root.exists():
            shutil.rmtree(self.root)

    def _copied(self, directory: str, programs: dict[str, Path]) -> Path:
        """A directory that every user can enter, with these programs out of the cache, under new names."""
        place = self.root / directory
        place.mkdir(exist_ok=True)
        for name, built in programs.items():
            if not (place / name).exists():
                new = place / f"new-{os.getpid()}"  # several workers may come here at once
                shutil.copy2(built, new)
                new.rename(place / name)
        return place

    def _own(self) -> None:
        """Make the directory, and refuse one that somebody else made: everybody may write to /var/tmp."""
        self.root.mkdir(mode=0o755, exist_ok=True)
        self.root.chmod(0o755)
        if self.root.is_symlink() or self.root.stat().st_uid != os.getuid():
            raise ClusterError(f"{self.root} belongs to another user: remove it")

    def _is(self, key: str, what: str) -> bool:
        file = self.root / what
        return file.exists() and file.read_text() == key

    def _place_kubectl(self) -> None:
        """Link kubectl, or copy one that lies in a home that others cannot enter."""
        found = self.given_kubectl or Preparation(Cache.default()).kubectl()
        self.kubectl.parent.mkdir(exist_ok=True)
        self.kubectl.unlink(missing_ok=True)
        if for_everybody(found.resolve()):
            self.kubectl.symlink_to(found)
        else:
            shutil.copy2(found, self.kubectl)


def _keys() -> tuple[str, str]:
    """Keys of what the wheel needs and of what it is made from."""
    metadata = b"".join((CHECKOUT / name).read_bytes() for name in ("setup.cfg", "pyproject.toml"))
    sources = hashlib.sha256()
    for file in sorted((CHECKOUT / "kubectl_localize").rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            sources.update(str(file.relative_to(CHECKOUT)).encode() + b"\0" + file.read_bytes())
    return hashlib.sha256(metadata).hexdigest(), sources.hexdigest()


def _build() -> Path:
    """Build the wheel into build/wheel."""
    build = CHECKOUT / "build"
    for leftover in ("lib", "wheel"):  # setuptools would pack modules that were deleted since
        shutil.rmtree(build / leftover, ignore_errors=True)
    flags = ("--wheel", "--no-isolation", "--outdir", build / "wheel")
    run(sys.executable, "-m", "build", *flags, cwd=CHECKOUT, timeout_seconds=300)
    return next((build / "wheel").glob("*.whl"))


def main(words: list[str]) -> int:
    """Make or remove the environment; returns the exit code."""
    os.umask(0o022)  # every user has to be able to run it
    environment = Environment.of_checkout()
    try:
        if words == ["make"]:
            environment.make()
            print(environment.root)
        elif words == ["remove"]:
            environment.remove()
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
