"""The shells that completion is tested in: Debian's own, unpacked where every user of this machine can run them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.paths import Cache
from tests.cluster.prepare import Preparation
from tests.environment import Environment

NAMES = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class Shells:
    """The root directory of their files."""

    root: Path

    @classmethod
    def of_checkout(cls) -> Shells:
        """Unpacked when first asked for; copied out of the cache, which lies in a home that others cannot enter."""
        unpacked = Preparation(Cache.default()).shells()
        root = Environment.of_checkout().root / "shells"
        if not root.exists():
            new = root.with_name(f"shells-{os.getpid()}")  # several workers may come here at once
            shutil.copytree(unpacked, new, symlinks=True)
            (new / "usr" / "etc").symlink_to("../etc")  # where a fish that was moved looks for its own
            try:
                new.rename(root)
            except OSError:  # another worker was quicker
                shutil.rmtree(new)
        return cls(root)

    def argv(self, shell: str) -> list[str]:
        """An interactive shell that reads its user's files, but not what a zsh of the machine's has in /etc/zsh.

        Debian's zshrc there switches the terminal to another mode at each prompt, and may stop to ask a question.
        """
        if shell == "bash":
            return ["/bin/bash", "-i"]
        without_the_machines = ["--no-globalrcs"] if shell == "zsh" else []
        return [str(self._find(f"bin/{shell}")), *without_the_machines, "-i"]

    def env(self, shell: str) -> dict[str, str]:
        """What it needs besides the user's environment."""
        return {"LD_LIBRARY_PATH": str(self._find("libpcre2-32.so.0").parent)} if shell == "fish" else {}

    def files(self, shell: str) -> dict[str, str]:
        """Files of its user, by their path in the home: a plain prompt, and completion as a distribution sets it up."""
        if shell == "bash":
            lines = [
                *(f"bind 'set {setting}'" for setting in ("bell-style none", "page-completions off")),
                *(f"bind 'set {setting}'" for setting in ("completion-query-items 0", "enable-bracketed-paste off")),
                f". {self._find('bash-completion/bash_completion')}",
                "PS1='ready> '",
            ]
            return {".bashrc": _text(lines)}
        if shell == "zsh":
            functions = self._find("share/zsh/functions")
            modules = self._find("zsh/zle.so").parent.parent
            early = [f"module_path=({modules})", f"fpath=({functions}{{,/*}}(/N) {functions}/Completion/*(/N))"]
            late = ["autoload -U compinit && compinit -u -D", "LISTMAX=1000"]
            late += ["unset zle_bracketed_paste", "PS1='ready> '"]
            return {".zshenv": _text(early), ".zshrc": _text(late)}
        lines = ["set -g fish_greeting", "function fish_prompt; echo -n 'ready> '; end"]
        # It would parse all manual pages of the machine in the background at its first start.
        return {".config/fish/config.fish": _text(lines), ".local/share/fish/generated_completions/none.fish": ""}

    def _find(self, end: str) -> Path:
        """The file or directory whose path ends so."""
        directory, _, name = end.rpartition("/")
        found = (path for path in sorted(self.root.rglob(name)) if f"{directory}/{name}".strip("/") in str(path))
        return next(path for path in found if str(path).endswith(f"/{end}"))


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
