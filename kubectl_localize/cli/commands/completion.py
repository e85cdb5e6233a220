"""`completion`: prints a shell's script, or places the files that shells and kubectl look for."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from kubectl_localize.cli.arguments import Arguments
from kubectl_localize.cli.completion.install import SHELLS, Places, install, remove, script
from kubectl_localize.cli.terminal import stderr_console
from kubectl_localize.host.paths import Paths


def run(args: Arguments) -> int:
    """Print a script, place the files, or remove them.

    Raises:
        LocalizeError: a file cannot be written or removed.
    """
    (what,) = args.words
    if what in SHELLS:
        sys.stdout.write(script(what))
        return 0
    console = stderr_console(args.no_color)
    places = Places(os.environ, Path(os.path.expanduser("~")))
    if not args.remove:
        install(places, console)
        console.line("it works in new shells; for kubectl localize, kubectl's own completion has to be on:")
        console.line("  bash: source <(kubectl completion bash)   zsh: source <(kubectl completion zsh)")
        console.line("  fish: kubectl completion fish | source")
        if shutil.which("zsh"):
            console.line("for kubectl-localize in zsh put into ~/.zshrc: source <(kubectl-localize completion zsh)")
        return 0
    removed = remove(places, console)
    names = Paths.from_env(os.environ).root / "completion"
    if names.is_dir():
        shutil.rmtree(names, ignore_errors=True)
        console.line(f"removed {names}")
        removed = True
    if not removed:
        console.line("nothing was placed here")
    return 0
