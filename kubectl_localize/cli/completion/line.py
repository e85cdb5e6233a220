"""Reads a command line up to the cursor: what is being typed, and what comes before it; pure.

argparse reads whole command lines only, so what little a partial one needs is read here, from the same table of flags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from kubectl_localize.cli.flags import COMMANDS, PROGRAM_COMMANDS, START, Flag, all_by_spelling

_CURSOR = "\0"  # stands for the word being typed; no command line can hold it


class Place(Enum):
    """What the word being typed is."""

    FLAG = auto()
    VALUE = auto()
    WORD = auto()
    PROGRAM = auto()


@dataclass(frozen=True)
class Line:
    """A command line up to the cursor.

    Args:
        place: what the word at the cursor is: a flag, a flag's value, a word of the command, or one after `--`.
        typed: the part of that word before the cursor; of `--context=ki` only `ki`.
        head: what precedes `typed` in the same word, such as `--context=`.
        command: the command, START for none.
        flag: the flag whose value is being typed.
        words: the words of the command so far, those after `--` included, without the command itself.
        flags: name and value of the flags so far, in their order; a switch has an empty value.
    """

    place: Place
    typed: str
    head: str = ""
    command: str = ""
    flag: Flag | None = None
    words: tuple[str, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()

    def given(self, name: str) -> bool:
        """Whether a flag was given on the line."""
        return any(flag == name for flag, _ in self.flags)

    def values(self, name: str) -> tuple[str, ...]:
        """The values that a flag was given."""
        return tuple(value for flag, value in self.flags if flag == name and value)

    def value(self, name: str) -> str:
        """The flag's last value, which is the one that counts; empty if it was not given."""
        return ("", *self.values(name))[-1]


def read_line(arguments: Sequence[str]) -> Line:
    """Read a command line whose last argument is the word at the cursor.

    Args:
        arguments: without the program's name. None at all count as one empty word.
    """
    before, typed = (tuple(arguments[:-1]), arguments[-1]) if arguments else ((), "")
    command, rest = _split_off_command(before)
    *tokens, cursor = _tokens([*rest, _CURSOR], all_by_spelling())
    place, typed, head, flag = _place(command, cursor, typed)
    flags = tuple((token.flag.name, token.value or "") for token in tokens if token.flag is not None)
    words = tuple(token.text for token in tokens if not token.is_flag)
    return Line(place, typed, head, command, flag, words, flags)


@dataclass(frozen=True)
class _Token:
    """A flag or a word.

    Args:
        index: of the argument that it stands in; several switches share one (`-vA`).
        text: the word, or the flag as it was spelled (`-n`).
        is_flag: whether it is a flag.
        flag: which one; None for a word or an unknown flag.
        value: the flag's value; None if it has none.
        escaped: whether it is a word after `--`.
    """

    index: int
    text: str
    is_flag: bool = False
    flag: Flag | None = None
    value: str | None = None
    escaped: bool = False


def _tokens(arguments: Sequence[str], known: Mapping[str, Flag]) -> Iterator[_Token]:
    """Flags and words in their order; a flag that is not known counts as a switch."""
    index, escaped = 0, False
    while index < len(arguments):
        text, start = arguments[index], index
        index += 1
        if escaped or not text.startswith("-") or text == "-":
            yield _Token(start, text, escaped=escaped)
        elif text == "--":
            escaped = True
        else:
            for spelling, value in _split_flags(text, known):
                flag = known.get(spelling)
                if flag is not None and flag.value and value is None and index < len(arguments):
                    value, index = arguments[index], index + 1
                yield _Token(start, spelling, True, flag, value)


def _split_flags(text: str, known: Mapping[str, Flag]) -> list[tuple[str, str | None]]:
    """Spelling and value of the flags in one argument: `-vn=web` has `-v` and `-n` with `web`."""
    if text.startswith("--"):
        spelling, equals, value = text.partition("=")
        return [(spelling, value if equals else None)]
    switches: list[tuple[str, str | None]] = []
    for position in range(1, len(text)):
        spelling, rest = f"-{text[position]}", text[position + 1 :]
        flag = known.get(spelling)
        if rest and ((flag is not None and flag.value) or rest.startswith("=")):
            return [*switches, (spelling, rest.removeprefix("="))]
        switches.append((spelling, None))
    return switches


def _split_off_command(arguments: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The command, if the first word is one, and the arguments without it."""
    words = (token for token in _tokens(arguments, all_by_spelling()) if not token.is_flag)
    first = next(words, None)
    if first is None or first.escaped or first.text not in COMMANDS:
        return START, arguments
    return first.text, (*arguments[: first.index], *arguments[first.index + 1 :])


def _place(command: str, cursor: _Token, typed: str) -> tuple[Place, str, str, Flag | None]:
    """Place, typed, head and flag of the word at the cursor."""
    if cursor.is_flag:
        return Place.VALUE, typed, "", cursor.flag
    if cursor.escaped:
        return Place.PROGRAM if command in PROGRAM_COMMANDS else Place.WORD, typed, "", None
    if not typed.startswith("-"):
        return Place.WORD, typed, "", None
    spelling, equals, value = typed.partition("=")
    flag = all_by_spelling().get(spelling)
    if equals and flag is not None and flag.value:
        return Place.VALUE, value, spelling + equals, flag
    return Place.FLAG, typed, "", None
