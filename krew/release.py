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
    """The files of a release.

    Args:
        version: the product's.
        wheel: for pip and pipx.
        sdist: the sources.
        archives: by the platform's name.
    """

    version: str
    wheel: Path
    sdist: Path
    archives: dict[str, Path]

    @classmethod
    def of(cls, directory: Path) -> Release:
        """Return the release that was built into a directory.

        Raises:
            BuildError: the directory does not hold exactly one release.
        """
        wheel = sources.only(directory, "*.whl")
        name, version, *_ = wheel.name.split("-")
        archives = {platform.name: directory / manifest.archive_name(version, platform) for platform in PLATFORMS}
        return cls(version, wheel, directory / f"{name}-{version}.tar.gz", archives)


def build(checkout: Path, out: Path, cache: Path) -> Release:
    """Build the wheel, the sdist and an archive for each platform.

    Args:
        checkout: the repository.
        out: the directory that they are built into.
        cache: the directory that keeps downloaded packages.

    Raises:
        BuildError: a package cannot be downloaded, or something does not build.
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
    """Write the checksums and Krew's manifest beside a release.

    Args:
        checkout: the repository, which has the manifest's template.
        release: what was built.
        out: the directory that they are written to.
        repository: the URL of the project's home.
        downloads: the URL that the archives will be below, if not the repository's releases.

    Returns:
        The manifest.

    Raises:
        BuildError: the repository is no URL.
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
