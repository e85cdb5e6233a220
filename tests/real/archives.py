"""A release's archive on this machine, as a file that somebody has copied into a directory."""

from __future__ import annotations

import os
import platform
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from krew.archive import PROGRAM
from krew.release import Release

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def archive_for_this_machine(release: Release) -> Path:
    """The archive that krew would choose here."""
    return release.archives[platform_of_this_machine()]


def platform_of_this_machine() -> str:
    """As releases name it."""
    return f"{os.uname().sysname.lower()}-{_ARCHITECTURES[platform.machine()]}"


class Copied:
    """The executable file of a release in a directory, and a home that it has for itself.

    Args:
        directory: an empty one.
    """

    def __init__(self, release: Release, directory: Path) -> None:
        self.file = directory / PROGRAM
        self.home = directory / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.take(release)

    @property
    def program(self) -> Path:
        """Where it unpacks."""
        return self.home / ".kube" / "localize" / "program"

    def take(self, release: Release, archive: Path | None = None) -> None:
        """Put another release's file in its place, as an upgrade does; the one for this machine by default."""
        with tarfile.open(archive or archive_for_this_machine(release)) as tar:
            content = tar.extractfile(PROGRAM)
            assert content is not None
            new = self.file.with_name("new")
            new.write_bytes(content.read())
        new.chmod(0o755)
        new.rename(self.file)

    def env(self, more: Mapping[str, str]) -> dict[str, str]:
        """What it starts with: little."""
        return {"HOME": str(self.home), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **more}

    def start(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start it."""
        return subprocess.Popen(
            [self.file, *argv],
            env=self.env(env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *argv: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever its exit code."""
        with self.start(*argv, env=env) as process:
            stdout, stderr = process.communicate(timeout=60)
        return subprocess.CompletedProcess(argv, process.returncode, stdout, stderr)

    def unpacked(self) -> list[str]:
        """The builds that are unpacked, and whatever else is there beside the lock."""
        return sorted(name for name in os.listdir(self.program) if name != "lock")
