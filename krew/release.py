"""Builds all that a release is made of into one directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from krew import archive, manifest, sources, wheels
from krew.commands import BuildError
from krew.platforms import PLATFORMS

MANIFEST = "localize.yaml"  # Krew wants it to be named after the plugin
CHECKSUMS = "checksums.txt"


@dataclass(frozen=True)
class Release:
    """What was built.

    Args:
        archives: by the platform's name.
    """

    version: str
    wheel: Path
    sdist: Path
    archives: dict[str, Path]

    @classmethod
    def of(cls, directory: Path) -> Release:
        """What was built into a directory.

        Raises: BuildError where there is not exactly one release.
        """
        wheels_found = list(directory.glob("*.whl"))
        if len(wheels_found) != 1:
            raise BuildError(f"{len(wheels_found)} wheels in {directory} instead of one")
        (wheel,) = wheels_found
        name, version, *_ = wheel.name.split("-")
        archives = {one.name: directory / manifest.archive_name(version, one) for one in PLATFORMS}
        return cls(version, wheel, directory / f"{name}-{version}.tar.gz", archives)


def build(checkout: Path, out: Path, cache: Path) -> Release:
    """Build the wheel, the sdist and an archive for each platform.

    Args:
        checkout: whose sources.
        cache: where downloaded packages are kept.

    Raises: BuildError where something is not to be had, or does not build.
    """
    sources.build(checkout, out)
    built = Release.of(out)
    licence = (checkout / "LICENSE").read_bytes()
    own = wheels.contents([built.wheel])
    for platform in PLATFORMS:
        packages = {**wheels.contents(wheels.carried_wheels(cache, platform)), **own}
        path = built.archives[platform.name]
        path.write_bytes(archive.archive(archive.program(built.version, platform.name, packages), licence))
    return built


def describe(checkout: Path, release: Release, out: Path, repository: str, downloads: str = "") -> Path:
    """Write the checksums and Krew's manifest beside a release; the manifest.

    Args:
        repository: the URL of the project's home.
        downloads: where the archives will be, if not among the repository's releases.

    Raises: BuildError where the repository is no URL.
    """
    if not re.fullmatch(r"https?://[\w.:/-]+[\w-]", repository):
        raise BuildError(f"{repository} is not the URL of a repository")
    places = downloads or f"{repository}/releases/download/v{release.version}"
    template = (checkout / "plugin.yaml").read_text(encoding="utf-8")
    path = out / MANIFEST
    path.write_text(manifest.manifest(template, release.version, repository, places, release.archives), "utf-8")
    files = [release.wheel, release.sdist, *release.archives.values()]
    (out / CHECKSUMS).write_text(manifest.checksums(files), encoding="utf-8")
    return path
