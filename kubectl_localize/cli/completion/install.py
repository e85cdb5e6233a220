"""Places and removes the files that make Tab work, in the directories in which shells and kubectl look for them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from kubectl_localize.cli.terminal import Console
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import write_atomic

SHELLS = ("bash", "zsh", "fish")
COMMAND, FOR_KUBECTL = "kubectl-localize", "kubectl_complete-localize"
# Stands in every file that is placed, so that it is known again as ours.
MARK = "written by `kubectl localize completion install`"


# -- the files --------------------------------------------------------------------------------------------------------
def script(shell: str) -> str:
    """A shell's completion script for kubectl-localize, as `completion SHELL` prints it."""
    return _data_file(f"completion.{shell}")


def marked_script(shell: str) -> str:
    """The script with our mark, as a file of its own. The first line stays first, since zsh reads it."""
    first, _, rest = script(shell).partition("\n")
    return f"{first}\n# {MARK}\n{rest}"


def for_kubectl() -> str:
    """The executable that kubectl looks for in PATH, and asks what may follow `kubectl localize`."""
    return _data_file(FOR_KUBECTL)


def _data_file(name: str) -> str:
    return resources.files("kubectl_localize.cli.completion").joinpath("scripts", name).read_text(encoding="utf-8")


# -- the places -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Placement:
    """A file to place.

    Args:
        path: where.
        text: what.
        serves: for what Tab then works, for people.
        executable: whether it is run, or only read.
    """

    path: Path
    text: str
    serves: str
    executable: bool = False


@dataclass(frozen=True)
class Places:
    """Where the files belong.

    Args:
        environ: the user's environment: PATH, and what the shells and XDG have for other directories.
        home: the user's home.
    """

    environ: Mapping[str, str]
    home: Path

    def placements(self) -> list[Placement]:
        """The files that belong on this machine: for kubectl, and for each shell that is in PATH."""
        path = self.environ.get("PATH", "")
        executable = Placement(self.own_directory() / FOR_KUBECTL, for_kubectl(), "kubectl localize", True)
        scripts = [
            Placement(file, marked_script(shell), f"kubectl-localize in {shell}")
            for shell, file in self.script_files().items()
            if shutil.which(shell, path=path)
        ]
        return [executable, *scripts]

    def possible(self) -> list[Path]:
        """All paths at which an `install` may have placed a file, with this PATH or an earlier one."""
        directories = [Path(entry) for entry in self.environ.get("PATH", "").split(os.pathsep) if os.path.isabs(entry)]
        directories += [self.own_directory(), self.home / ".local" / "bin", self.home / "bin"]
        executables = [directory / FOR_KUBECTL for directory in directories]
        return list(dict.fromkeys([*executables, *self.script_files().values()]))

    def script_files(self) -> dict[str, Path]:
        """The file of each shell that loads a command's completion by itself; zsh has no such place of the user's."""
        data = Path(self.environ.get("XDG_DATA_HOME") or self.home / ".local" / "share")
        bash = Path(self.environ.get("BASH_COMPLETION_USER_DIR") or data / "bash-completion")
        config = Path(self.environ.get("XDG_CONFIG_HOME") or self.home / ".config")
        return {
            "bash": bash / "completions" / COMMAND,
            "fish": config / "fish" / "completions" / f"{COMMAND}.fish",
        }

    def own_directory(self) -> Path:
        """The directory for an executable: beside kubectl-localize if that is the user's own, else `~/.local/bin`.

        krew's `bin` is such a directory, and so is a virtual environment's. If only `~/bin` is in PATH, it is that.
        The directory may not exist, nor be in PATH; that is for the caller to see.
        """
        beside = shutil.which(COMMAND, path=self.environ.get("PATH", ""))
        if beside and _is_own(Path(os.path.abspath(beside)).parent):
            return Path(os.path.abspath(beside)).parent
        usual, other = self.home / ".local" / "bin", self.home / "bin"
        return other if not self.in_path(usual) and self.in_path(other) and _is_own(other) else usual

    def in_path(self, directory: Path) -> bool:
        """Whether commands are looked for in a directory."""
        return any(entry and Path(entry) == directory for entry in self.environ.get("PATH", "").split(os.pathsep))


def _is_own(directory: Path) -> bool:
    """Whether the directory exists and belongs to the user. Root could write to /usr/bin too, but packages own that."""
    try:
        status = directory.stat()
    except OSError:
        return False
    packaged = directory.is_relative_to("/usr") and not directory.is_relative_to("/usr/local")
    return status.st_uid == os.getuid() and os.access(directory, os.W_OK | os.X_OK) and not packaged


# -- placing and removing ---------------------------------------------------------------------------------------------
def install(places: Places, console: Console) -> None:
    """Place the files, and print for each what was done. Files that something else wrote stay as they are.

    Raises:
        LocalizeError: a file cannot be written.
    """
    for placement in places.placements():
        _place(placement, places, console)


def _place(placement: Placement, places: Places, console: Console) -> None:
    path = placement.path
    in_path = shutil.which(FOR_KUBECTL, path=places.environ.get("PATH", "")) if placement.executable else None
    if in_path and Path(in_path) != path and _is_ours(Path(in_path)):
        console.line(f"{in_path} is there already, for {placement.serves}")
        return
    if os.path.lexists(path):
        text = _text(path)
        if text == placement.text or (placement.executable and MARK not in text and _is_ours(path)):
            console.line(f"{path} is there already, for {placement.serves}")
            return
        if MARK not in text:
            console.warning(
                f"{path} was written by something else and stays as it is; Tab for {placement.serves} needs its place"
            )
            return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, placement.text, 0o755 if placement.executable else 0o644)
    except OSError as error:
        raise LocalizeError(
            f"{path} cannot be written: {error.strerror or error}",
            "kubectl localize completion -h says what the file is for",
        ) from error
    console.line(f"placed {path}, for {placement.serves}")
    if placement.executable and in_path and Path(in_path) != path:
        console.warning(f"{in_path} comes first in PATH, and was written by something else")
    elif placement.executable and not places.in_path(path.parent):
        console.warning(f"{path.parent} is not in PATH, where kubectl looks: add it")


def remove(places: Places, console: Console) -> bool:
    """Remove what an `install` placed, and say so.

    Returns:
        Whether there was anything.

    Raises:
        LocalizeError: a file cannot be removed.
    """
    ours = [path for path in places.possible() if MARK in _text(path)]
    for path in ours:
        try:
            path.unlink()
        except OSError as error:
            raise LocalizeError(f"{path} cannot be removed: {error.strerror or error}", "remove it by hand") from error
        console.line(f"removed {path}")
    return bool(ours)


def _text(path: Path) -> str:
    """What a file holds; nothing if it is no file, or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_ours(path: Path) -> bool:
    """Whether an executable is of this product: placed by `install`, or installed beside a Python package."""
    text = _text(path)
    return MARK in text or "kubectl_localize" in text
