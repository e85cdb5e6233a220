"""Answers shells and kubectl in the words that each of them understands; whatever goes wrong, it stays silent."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from kubectl_localize.cli.completion.candidates import Answer, complete
from kubectl_localize.cli.completion.line import Line, read_line
from kubectl_localize.cli.completion.sources import Sources

# The last line of every answer, as in the protocol that kubectl takes over from its plugins.
NO_FILES, FILES = ":4", ":0"


def main() -> int:
    """`kubectl_complete-localize ARG… LAST`, which kubectl runs."""
    return answer("__complete", sys.argv[1:])


def answer(protocol: str, arguments: Sequence[str]) -> int:
    """Prints what may come.

    Args:
        protocol: one of PROTOCOLS.
        arguments: the command line without the program, up to the word at the cursor, with it; for bash none.

    Returns: the exit code, always 0, or else kubectl would offer files.
    """
    try:
        text = PROTOCOLS[protocol](arguments)
    except Exception:  # whatever it is: a line of it in the middle of what somebody types helps nobody
        text = NO_FILES
    try:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody waits for it any more
    return 0


def _complete(arguments: Sequence[str]) -> tuple[Line, Answer]:
    line = read_line(arguments)
    return line, complete(line, Sources(line, os.environ))


def _lines(words: Sequence[str], files: bool) -> str:
    return "\n".join([*words, FILES if files else NO_FILES])


def _for_kubectl(arguments: Sequence[str]) -> str:
    """A candidate and, after a tab, what it is; kubectl's scripts put back what stands before a flag's value."""
    _, found = _complete(arguments)
    words = [f"{one.text}\t{one.about}" if one.about else one.text for one in found.candidates]
    return _lines(words, found.files)


def _for_fish(arguments: Sequence[str]) -> str:
    """The same, but whole words."""
    line, found = _complete(arguments)
    return _lines([f"{line.head}{one.text}\t{one.about}" for one in found.candidates], found.files)


def _for_zsh(arguments: Sequence[str]) -> str:
    """`word:what it is`, as its `_describe` wants it."""
    line, found = _complete(arguments)
    words = [(line.head + one.text).replace("\\", "\\\\").replace(":", "\\:") for one in found.candidates]
    described = [
        f"{word}:{one.about}" if one.about else word for word, one in zip(words, found.candidates, strict=True)
    ]
    return _lines(described, found.files)


def _for_bash(_: Sequence[str]) -> str:
    """Words as they have to be put in, quoted, from the end of what bash takes for the word at the cursor.

    bash hands over the line as it was typed, and where it splits that into words is its own (COMP_WORDBREAKS has `:`
    and `=`, which contexts hold): argcomplete knows how.
    """
    from argcomplete.finders import CompletionFinder
    from argcomplete.lexers import split_line

    text, point = _bash_line(os.environ)
    quote, prefix, _, words, last_break = split_line(text, point)
    line, found = _complete([*words[1:], prefix])
    full = [line.head + one.text for one in found.candidates]
    finder = CompletionFinder(append_space=False)
    return _lines(finder.quote_completions(full, quote, last_break), found.files)


def _bash_line(environ: Mapping[str, str]) -> tuple[str, int]:
    """The line, and how many characters of it stand before the cursor; bash counts bytes."""
    text = environ["COMP_LINE"]
    return text, len(os.fsencode(text)[: int(environ["COMP_POINT"])].decode(errors="replace"))


PROTOCOLS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "__complete": _for_kubectl,
    "__complete_bash": _for_bash,
    "__complete_zsh": _for_zsh,
    "__complete_fish": _for_fish,
}
