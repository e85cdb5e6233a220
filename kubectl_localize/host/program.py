"""How this program starts a module of its own in a process of its own, wherever it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import kubectl_localize

# Lies beside the packages where they were unpacked from an archive (krew/carried/start.py), and nowhere else.
STARTER = "kubectl_localize_start.py"


def module_argv(module: str, *words: str, package: Path | None = None) -> list[str]:
    """Return the command that runs a module of ours with these words, independent of the current directory.

    From an archive the path of the packages is part of the command, and not in a PYTHONPATH, which kubectl and the
    user's own commands would inherit.

    Args:
        package: where the package `kubectl_localize` is; this very one by default.
    """
    starter = (package or Path(kubectl_localize.__file__).parent).parent / STARTER
    if starter.is_file():
        return [sys.executable, "-P", str(starter), module, *words]
    return [sys.executable, "-P", "-m", module, *words]
