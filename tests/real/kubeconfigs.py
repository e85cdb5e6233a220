"""Kubeconfigs as people have them: the administrator's own, changed as a test wants it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.real.sandbox import Sandbox

Config = dict[str, Any]


def own(sandbox: Sandbox) -> Config:
    """What the user's kubeconfig says, with its secrets."""
    config: Config = json.loads(sandbox.kubectl("config", "view", "--raw", "-o", "json"))
    return config


def write(sandbox: Sandbox, path: Path, config: Config) -> Path:
    """Write a kubeconfig that only the user can read."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    sandbox.give(path.parent)
    sandbox.give(path)
    return path


def program(sandbox: Sandbox, path: Path, text: str) -> Path:
    """Write a program of the user's."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    sandbox.give(path.parent)
    sandbox.give(path)
    return path
