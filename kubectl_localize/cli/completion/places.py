"""Where the files for completion belong on this machine; pure but for looking at what is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.cli.completion.scripts import FOR_KUBECTL, marked

COMMAND, FOR_KUBECTL_NAME = "kubectl-localize", "kubectl_complete-localize"


@dataclass(frozen=True)
class Placement:
    """One file to place.

    Args:
        serves: what Tab then works for, for people.
        executable: whether it is run, or read.
    """

    path: Path
    text: str
    serves: str
    executable: bool = False


def placements(environ: Mapping[str, str], home: Path) -> list[Placement]:
    """All files that belong on this machine, for the shells that are there."""
    path = environ.get("PATH", "")
    found = [Placement(own_directory(environ, home) / FOR_KUBECTL_NAME, FOR_KUBECTL, "kubectl localize", True)]
    for shell, file in script_files(environ, home).items():
        if shutil.which(shell, path=path):
            found.append(Placement(file, marked(shell), f"kubectl-localize in {shell}"))
    return found


def possible(environ: Mapping[str, str], home: Path) -> list[Path]:
    """All paths where an `install` may have placed a file, on this machine as it is or as it was."""
    directories = [Path(entry) for entry in environ.get("PATH", "").split(os.pathsep) if os.path.isabs(entry)]
    directories += [own_directory(environ, home), home / ".local" / "bin", home / "bin"]
    executables = [directory / FOR_KUBECTL_NAME for directory in directories]
    return list(dict.fromkeys([*executables, *script_files(environ, home).values()]))


def script_files(environ: Mapping[str, str], home: Path) -> dict[str, Path]:
    """The file of each shell that loads completions of a command by itself; zsh has no such place of the user's."""
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    bash = Path(environ.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return {
        "bash": bash / "completions" / COMMAND,
        "fish": config / "fish" / "completions" / f"{COMMAND}.fish",
    }


def own_directory(environ: Mapping[str, str], home: Path) -> Path:
    """The directory for an executable: beside kubectl-localize, where that is the user's own, else `~/.local/bin`.

    krew's `bin` is such a directory, and so is the one of a virtual environment. `~/bin` will do where it is in PATH
    and the usual one is not; whether what is returned exists and is in PATH is for the caller to see.
    """
    beside = shutil.which(COMMAND, path=environ.get("PATH", ""))
    if beside and _is_own(Path(os.path.abspath(beside)).parent):
        return Path(os.path.abspath(beside)).parent
    usual, other = home / ".local" / "bin", home / "bin"
    return other if not in_path(usual, environ) and in_path(other, environ) and _is_own(other) else usual


def _is_own(directory: Path) -> bool:
    """Whether the directory is there and the user's: root may write everywhere, but /usr/bin is the packages'."""
    try:
        status = directory.stat()
    except OSError:
        return False
    packaged = directory.is_relative_to("/usr") and not directory.is_relative_to("/usr/local")
    return status.st_uid == os.getuid() and os.access(directory, os.W_OK | os.X_OK) and not packaged


def in_path(directory: Path, environ: Mapping[str, str]) -> bool:
    """Whether commands are looked for in a directory."""
    return any(entry and Path(entry) == directory for entry in environ.get("PATH", "").split(os.pathsep))
