"""Which place of a command line is being completed, and what stands before it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from kubectl_localize.cli.completion.tokens import Token, find_command, tokens
from kubectl_localize.cli.flags import PROGRAM_COMMANDS, Flag, all_by_spelling

_HERE = "\0"  # stands for the word being typed; no command line can hold it


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
        place: what the word at the cursor is: a flag, a flag's value, a word of the command, or of the program after
            `--`.
        typed: what there is of it; of `--context=ki` only `ki`.
        head: what stands in front of that in the same word: `--context=`, or nothing.
        command: the command, START for none.
        flag: the flag whose value is typed.
        words: the words of the command before it, those after `--` included, without the command itself.
        flags: the flags before it, each with its value, in their order.
    """

    place: Place
    typed: str
    head: str = ""
    command: str = ""
    flag: Flag | None = None
    words: tuple[str, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()

    def given(self, name: str) -> bool:
        """Whether a flag stands on the line."""
        return any(flag == name for flag, _ in self.flags)

    def values(self, name: str) -> tuple[str, ...]:
        """The values that a flag was given."""
        return tuple(value for flag, value in self.flags if flag == name and value)

    def value(self, name: str) -> str:
        """The last of them, which is the one that counts; empty where there is none."""
        return ("", *self.values(name))[-1]


def read_line(arguments: Sequence[str]) -> Line:
    """The place that the last of the arguments (without the program's name) is at.

    The arguments before it are read as `scan` reads them when the command runs.
    """
    before, word = (tuple(arguments[:-1]), arguments[-1]) if arguments else ((), "")
    command, rest = find_command(before)
    known = all_by_spelling()
    found = list(tokens([*rest, _HERE], known))
    last = found.pop()
    flags = tuple((token.flag.name, token.value or "") for token in found if token.flag is not None)
    words = tuple(token.text for token in found if not token.is_flag)
    place, typed, head, flag = _place(command, last, word)
    return Line(place, typed, head, command, flag, words, flags)


def _place(command: str, last: Token, word: str) -> tuple[Place, str, str, Flag | None]:
    """Place, typed, head and flag of the word that the last token stands for."""
    if last.is_flag:
        return Place.VALUE, word, "", last.flag
    if last.escaped:
        return Place.PROGRAM if command in PROGRAM_COMMANDS else Place.WORD, word, "", None
    if not word.startswith("-"):
        return Place.WORD, word, "", None
    spelling, equals, value = word.partition("=")
    flag = all_by_spelling().get(spelling)
    if equals and flag is not None and flag.value:
        return Place.VALUE, value, spelling + equals, flag
    return Place.FLAG, word, "", None
