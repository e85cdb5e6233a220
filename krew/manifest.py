"""Krew's manifest, filled in from its template, and the list of checksums."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from pathlib import Path

from krew.commands import BuildError
from krew.platforms import PLATFORMS, Platform


def archive_name(version: str, platform: Platform) -> str:
    """Return the file name of a platform's archive."""
    return f"kubectl-localize-{version}-{platform.name}.tar.gz"


def sha256(file: Path) -> str:
    """Return a file's SHA-256 in lower-case hexadecimal, as Krew wants it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def manifest(template: str, version: str, repository: str, downloads: str, archives: Mapping[str, Path]) -> str:
    """Return the manifest of a release.

    Args:
        template: the text of plugin.yaml.
        version: without the `v`.
        repository: the URL of the project's home.
        downloads: the URL that the archives' names follow after a slash.
        archives: the archive for each platform, by the platform's name.

    Raises:
        BuildError: the template asks for a value that there is none of.
    """
    values = {"version": version, "repository": repository}
    for platform in PLATFORMS:
        key = platform.name.replace("-", "_")
        values[f"uri_{key}"] = f"{downloads}/{archive_name(version, platform)}"
        values[f"sha256_{key}"] = sha256(archives[platform.name])
    try:
        return string.Template(template).substitute(values)
    except (KeyError, ValueError) as error:
        raise BuildError(f"the template of the manifest: {error}") from error


def checksums(files: list[Path]) -> str:
    """Return a line for each file, as `sha256sum --check` reads them."""
    return "".join(f"{sha256(file)}  {file.name}\n" for file in sorted(files))
