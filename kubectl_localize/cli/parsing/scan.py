"""Takes a command line apart into flags and words, wherever each of them stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.cli.parsing.flags import COMMANDS, START, Flag, all_by_spelling, by_spelling, flags_of
from kubectl_localize.errors import UsageError


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


def without_help(argv: Sequence[str]) -> Sequence[str]:
    """The command line with `-h` in the place of a first word `help`; as it is where there is none."""
    words = (token for token in tokens(argv, all_by_spelling()) if not token.is_flag)
    first = next(words, None)
    if first is None or first.escaped or first.text != "help":
        return argv
    return (*argv[: first.index], "-h", *argv[first.index + 1 :])


def split_program(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The command line up to the first `--`, and from there on (with it)."""
    known = all_by_spelling()
    first = next((token for token in tokens(argv, known) if token.escaped), None)
    end = len(argv) if first is None else first.index - 1
    return argv[:end], argv[end:]


def normalise(command: str, argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Flags as `--name` or `--name=value`, and the words.

    Raises:
        UsageError: an unknown flag, a missing value, a value for a switch.
    """
    known = by_spelling(flags_of(command))
    found: list[str] = []
    words: list[str] = []
    for token in tokens(argv, known):
        if not token.is_flag:
            words.append(token.text)
        elif token.flag is None:
            raise unknown_flag(command, token.text)
        else:
            found += _normal_flag(command, token, token.flag)
    return found, words


def _normal_flag(command: str, token: Token, flag: Flag) -> list[str]:
    if flag.value:
        if token.value in (None, "--"):  # argparse would drop the dashes
            raise UsageError(f"flag {token.text} needs a value", f"{token.text} {flag.value}: {flag.help}")
        return [f"--{flag.name}={token.value}"]
    if token.value in (None, "true"):
        return [f"--{flag.name}"]
    if token.value == "false":
        return []
    raise UsageError(f"flag {token.text} takes no value", see_help(command))


def unknown_flag(command: str, spelling: str) -> UsageError:
    """The error for a flag that the command does not have, with the nearest one, or the command that has it."""
    from difflib import get_close_matches

    message = f"unknown flag {spelling}"
    if command != START and spelling in by_spelling(flags_of(START)):
        return UsageError(message, f"{spelling} is a flag of kubectl localize without {command}")
    owners = [name for name in COMMANDS if spelling in by_spelling(flags_of(name))]
    if owners:
        return UsageError(message, f"{spelling} is a flag of {usage_name(owners[0])}")
    names = [name[2:] for name in by_spelling(flags_of(command)) if name.startswith("--")]  # dashes are alike anyway
    near = get_close_matches(spelling[2:], names, 1) if spelling.startswith("--") else []
    return UsageError(message, f"did you mean --{near[0]}?" if near else see_help(command))


def usage_name(command: str) -> str:
    """How people type a command: `kubectl localize ls`."""
    return f"kubectl localize {command}".rstrip()


def see_help(command: str) -> str:
    """The hint that is always right."""
    return f"see {usage_name(command)} -h"
