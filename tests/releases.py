"""The releases that tests install: this checkout's, and the same sources under an older version; built when needed."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from krew import release, sources
from krew.release import Release
from tests.cluster.paths import CHECKOUT
from tests.environment import Environment

OLDER = "0.0.9"
TEMPLATE = "plugin.yaml"
SOURCES = (*sources.FILES, TEMPLATE, sources.PACKAGE, "krew")
REPOSITORY = "https://example.com/kubectl-localize"
DOWNLOADS = CHECKOUT / "build" / "carried"


@dataclass(frozen=True)
class Releases:
    """Both, below a directory that every user can enter."""

    root: Path

    @classmethod
    def of_checkout(cls) -> Releases:
        """Those that belong to this checkout and user; they go when its environment is removed."""
        return cls(Environment.of_checkout().root / "releases")

    def current(self) -> Release:
        """The checkout's."""
        return self._built("current", CHECKOUT)

    def older(self) -> Release:
        """The same program, as version 0.0.9."""
        with tempfile.TemporaryDirectory() as directory:
            copy = Path(directory)
            for name in (*sources.FILES, TEMPLATE):
                shutil.copyfile(CHECKOUT / name, copy / name)
            shutil.copytree(CHECKOUT / sources.PACKAGE, copy / sources.PACKAGE)
            about = copy / sources.PACKAGE / "__init__.py"
            about.write_text(re.sub(r'__version__ = "[^"]+"', f'__version__ = "{OLDER}"', about.read_text()))
            return self._built("older", copy)

    def _built(self, name: str, checkout: Path) -> Release:
        """Build it unless these very sources have been built."""
        self.root.mkdir(exist_ok=True)
        with open(self.root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            place, key = self.root / name, _key(checkout)
            made = place / "key"
            if not made.exists() or made.read_text() != key:
                shutil.rmtree(place, ignore_errors=True)
                built = release.build(checkout, place, DOWNLOADS)
                release.describe(checkout, built, place, REPOSITORY)
                made.write_text(key)
            return Release.of(place)


def _key(checkout: Path) -> str:
    """A key of all that a release of the checkout is made from."""
    total = hashlib.sha256()
    for name in SOURCES:
        start = CHECKOUT if name == "krew" else checkout  # the older release is built by today's rules
        inside = [file for file in sorted((start / name).rglob("*")) if file.is_file() and file.suffix != ".pyc"]
        for file in inside or [start / name]:
            total.update(str(file.relative_to(start)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()
