"""`completion`: prints a shell's script, or places what the shells and kubectl look for."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from kubectl_localize.cli import terminal
from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.completion.places import FOR_KUBECTL_NAME, Placement, in_path, placements, possible
from kubectl_localize.cli.completion.scripts import MARK, SCRIPTS
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.paths import Paths, write_atomic


def run(args: Arguments) -> int:
    """Print, place or take away; returns the exit code.

    Raises: LocalizeError where a file cannot be written or removed.
    """
    if args.words[0] in SCRIPTS:
        sys.stdout.write(SCRIPTS[args.words[0]])
        return 0
    console = terminal.stderr_console(args.no_color)
    home = Path(os.path.expanduser("~"))
    if args.remove:
        _remove(console, home)
    else:
        _install(console, home)
    return 0


def _install(console: terminal.Console, home: Path) -> None:
    for placement in placements(os.environ, home):
        _place(console, placement)
    console.line("it works in new shells; for kubectl localize, where kubectl's own completion is on:")
    console.line("  bash: source <(kubectl completion bash)   zsh: source <(kubectl completion zsh)")
    console.line("  fish: kubectl completion fish | source")
    if shutil.which("zsh"):
        console.line("for kubectl-localize in zsh put into ~/.zshrc: source <(kubectl-localize completion zsh)")


def _place(console: terminal.Console, placement: Placement) -> None:
    """Write one file, unless it is there, or somebody else's is."""
    path = placement.path
    found = shutil.which(FOR_KUBECTL_NAME) if placement.executable else None
    if found and Path(found) != path and _is_ours(Path(found)):
        console.line(f"{found} is there already, for {placement.serves}")
        return
    if os.path.lexists(path):
        text = _text(path)
        if text == placement.text or (placement.executable and MARK not in text and _is_ours(path)):
            console.line(f"{path} is there already, for {placement.serves}")
            return
        if MARK not in text:
            console.warning(f"{path} is not from here and stays as it is; Tab for {placement.serves} would need it")
            return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, placement.text, 0o755 if placement.executable else 0o644)
    except OSError as error:
        raise LocalizeError(
            f"{path} cannot be written: {error.strerror or error}", "see kubectl localize completion -h for what it is"
        ) from error
    console.line(f"placed {path}, for {placement.serves}")
    if not placement.executable:
        return
    if found and Path(found) != path:
        console.warning(f"{found} comes first in PATH, and is not from here")
    elif not in_path(path.parent, os.environ):
        console.warning(f"{path.parent} is not in PATH, where kubectl looks: add it")


def _remove(console: terminal.Console, home: Path) -> None:
    removed = False
    for path in possible(os.environ, home):
        if MARK not in _text(path):
            continue
        try:
            path.unlink()
        except OSError as error:
            raise LocalizeError(f"{path} cannot be removed: {error.strerror or error}", "remove it by hand") from error
        console.line(f"removed {path}")
        removed = True
    names = Paths.from_env(os.environ).root / "completion"
    if names.is_dir():
        shutil.rmtree(names, ignore_errors=True)
        console.line(f"removed {names}")
        removed = True
    if not removed:
        console.line("nothing was placed here")


def _text(path: Path) -> str:
    """What a file holds; nothing where it is none, or cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_ours(path: Path) -> bool:
    """Whether an executable is of this product: placed by `install`, or installed beside a Python package."""
    text = _text(path)
    return MARK in text or "kubectl_localize" in text
