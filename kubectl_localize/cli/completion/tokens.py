"""Takes an unfinished command line apart into flags and words; argparse has no word for the one at the cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.cli.flags import COMMANDS, START, Flag, all_by_spelling


@dataclass(frozen=True)
class Token:
    """One part of a command line.

    Args:
        index: where in the command line it begins.
        text: the word, or the flag as it was spelled (`-n`).
        is_flag: whether it is a flag.
        flag: the flag that is meant, None for a word or an unknown flag.
        value: the flag's value, None where it has none.
        escaped: whether it is a word after `--`.
    """

    index: int
    text: str
    is_flag: bool = False
    flag: Flag | None = None
    value: str | None = None
    escaped: bool = False


def _split(text: str, known: Mapping[str, Flag]) -> list[tuple[str, str | None]]:
    """`-vn=web` as [("-v", None), ("-n", "web")]; `--name=value` likewise."""
    if text.startswith("--"):
        spelling, equals, value = text.partition("=")
        return [(spelling, value if equals else None)]
    found: list[tuple[str, str | None]] = []
    for position in range(1, len(text)):
        spelling, rest = f"-{text[position]}", text[position + 1 :]
        flag = known.get(spelling)
        if rest and ((flag is not None and flag.value) or rest.startswith("=")):
            return [*found, (spelling, rest.removeprefix("="))]
        found.append((spelling, None))
    return found


def tokens(argv: Sequence[str], known: Mapping[str, Flag]) -> Iterator[Token]:
    """The parts of a command line in their order; a flag that is not known counts as a switch."""
    index, escaped = 0, False
    while index < len(argv):
        text, start = argv[index], index
        index += 1
        if escaped or not text.startswith("-") or text == "-":
            yield Token(start, text, escaped=escaped)
        elif text == "--":
            escaped = True
        else:
            for spelling, value in _split(text, known):
                flag = known.get(spelling)
                if flag is not None and flag.value and value is None and index < len(argv):
                    value, index = argv[index], index + 1
                yield Token(start, spelling, True, flag, value)


def find_command(argv: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The command word, if the first word is one, and the command line without it."""
    words = (token for token in tokens(argv, all_by_spelling()) if not token.is_flag)
    first = next(words, None)
    if first is None or first.escaped or first.text not in COMMANDS:
        return START, tuple(argv)
    return first.text, (*argv[: first.index], *argv[first.index + 1 :])
