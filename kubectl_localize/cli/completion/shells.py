"""Answers Tab in the protocols of bash, zsh, fish and kubectl; whatever goes wrong, the answer is empty.

Quoting words as bash wants them is argcomplete's part. It is imported for bash only: the other protocols are a line for
each candidate, and the import would add 10 ms to a Tab of 30.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence

from kubectl_localize.cli import streams
from kubectl_localize.cli.completion.candidates import Answer, complete
from kubectl_localize.cli.completion.line import Line, read_line
from kubectl_localize.cli.completion.sources import Sources

# The last line of every answer, as in the protocol between kubectl and its plugins.
NO_FILES, FILES = ":4", ":0"


def main() -> int:
    """Answer kubectl, which runs `kubectl_complete-localize ARG… LAST`."""
    streams.prepare()
    return answer("__complete", sys.argv[1:])


def answer(protocol: str, arguments: Sequence[str]) -> int:
    """Print what may come.

    Args:
        protocol: one of PROTOCOLS.
        arguments: the command line without the program, up to and with the word at the cursor. For bash none: it sets
            COMP_LINE and COMP_POINT.

    Returns:
        The exit code, always 0: after any other, kubectl offers files.
    """
    try:
        text = PROTOCOLS[protocol](arguments)
    except Exception:  # a stack trace in the middle of what somebody types would help nobody
        text = NO_FILES
    try:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
        print(text, flush=True)
    except (OSError, streams.OutputError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads it any more; so the exit is quiet
    return 0


def _complete(arguments: Sequence[str]) -> tuple[Line, Answer]:
    line = read_line(arguments)
    return line, complete(line, Sources(line, os.environ))


def _lines(words: Sequence[str], files: bool) -> str:
    return "\n".join([*words, FILES if files else NO_FILES])


def _for_kubectl(arguments: Sequence[str]) -> str:
    """A candidate a line, and its description after a tab; kubectl's scripts put `--flag=` back in front."""
    _, result = _complete(arguments)
    words = [
        f"{candidate.text}\t{candidate.description}" if candidate.description else candidate.text
        for candidate in result.candidates
    ]
    return _lines(words, result.files)


def _for_fish(arguments: Sequence[str]) -> str:
    """As for kubectl, but whole words."""
    line, result = _complete(arguments)
    words = [f"{line.head}{candidate.text}\t{candidate.description}" for candidate in result.candidates]
    return _lines(words, result.files)


def _for_zsh(arguments: Sequence[str]) -> str:
    """`word:description` a line, with the word's own colons escaped, for zsh's `_describe`."""
    line, result = _complete(arguments)
    words = []
    for candidate in result.candidates:
        word = (line.head + candidate.text).replace("\\", "\\\\").replace(":", "\\:")
        words.append(f"{word}:{candidate.description}" if candidate.description else word)
    return _lines(words, result.files)


def _for_bash(_: Sequence[str]) -> str:
    """A word a line, quoted, without what bash takes for words before it.

    bash passes the line as it was typed and breaks it at characters of its own (COMP_WORDBREAKS has `:` and `=`, which
    contexts hold); argcomplete knows how.
    """
    from argcomplete.finders import CompletionFinder
    from argcomplete.lexers import split_line

    text, point = _bash_line(os.environ)
    quote, prefix, _, words, last_break = split_line(text, point)
    line, result = _complete([*words[1:], prefix])
    whole_words = [line.head + candidate.text for candidate in result.candidates]
    finder = CompletionFinder(append_space=False)
    return _lines(finder.quote_completions(whole_words, quote, last_break), result.files)


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
