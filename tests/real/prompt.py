"""An interactive shell of a sandbox's user, at whose prompt a line is typed and Tab is pressed."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.real.sandbox import Sandbox
from tests.real.terminal import Terminal
from tests.shells import Shells

# How each shell's own completion, and kubectl's, are set up in a user's file.
SETUP = {
    "bash": (".bashrc", "source <(kubectl completion bash)", "source <(kubectl-localize completion bash)"),
    "zsh": (".zshrc", "source <(kubectl completion zsh)", "source <(kubectl-localize completion zsh)"),
    "fish": (
        ".config/fish/config.fish",
        "kubectl completion fish | source",
        "kubectl-localize completion fish | source",
    ),
}
_TAB, _HOME, _DISCARD, _ENTER = "\t", "\x01", "\x15", "\r"


class Prompt:
    """A shell that waits for a line.

    Args:
        shell: bash, zsh or fish.
    """

    def __init__(self, shell: str, terminal: Terminal) -> None:
        self.shell = shell
        self._terminal = terminal
        self._numbers = itertools.count(1)
        self._ready()

    def complete(self, line: str) -> str:
        """Type a line, press Tab once, and return what then stands there."""
        number = next(self._numbers)
        self._terminal.send(line + _TAB)
        # The quotes tell what is typed from what echo prints.
        self._terminal.send(f"{_HOME}echo LI''NE{number}= {_ENTER}")
        found = self._terminal.expect(rf"LINE{number}= ?([^\r\n]*)[\r\n]")
        self._ready()
        return found[1]

    def offers(self, line: str, expected: Sequence[str]) -> tuple[str, float]:
        """Type a line, press Tab, and wait until every one of the expected words is shown.

        Returns: all that is shown then, and after how many seconds it was.
        """
        self._terminal.send(line)
        self._terminal.expect(re.escape(line.split()[-1]))
        start = time.monotonic()
        # bash shows nothing at the first Tab if there are several, and fish a few
        self._terminal.send(_TAB if self.shell == "zsh" else _TAB + _TAB)
        shown = self._terminal.expect_all([rf"(?<![\w/-]){re.escape(word)}(?![\w/-])" for word in expected])
        seconds = time.monotonic() - start
        self._terminal.send(_DISCARD + _ENTER)
        self._ready()
        return shown, seconds

    def run(self, line: str) -> None:
        """Run a command and wait for the prompt."""
        self._terminal.send(line + _ENTER)
        self._ready()

    @property
    def text(self) -> str:
        """All that was shown so far."""
        return self._terminal.text

    def _ready(self) -> None:
        self._terminal.expect(r"ready> \s*$")


@contextmanager
def open_prompt(sandbox: Sandbox, shells: Shells, shell: str, *, ours: bool = True) -> Iterator[Prompt]:
    """A shell in whose user's files kubectl's completion is set up, and that of kubectl-localize if `ours`."""
    file, *setup = SETUP[shell]
    for name, text in shells.files(shell).items():
        path = sandbox.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + ("\n".join(setup if ours else setup[:1]) + "\n" if name == file else ""))
        for made in (path, *path.parents):
            if made.is_relative_to(sandbox.home):
                sandbox.give(made)
    terminal = sandbox.pty(*shells.argv(shell), env=shells.env(shell))
    try:
        yield Prompt(shell, terminal)
    finally:
        terminal.close()
