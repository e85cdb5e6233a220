"""Reads a hosts file of any length in small pieces: which of our names others hold there, and whether our block stands.

Ad blockers write hosts files of 170,000 lines. A piece without any of our names costs one set operation, so the whole
file takes about 50 ms; nothing holds the interpreter for longer than a piece, as the scan runs beside the event loop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from kubectl_localize.host.helper import begin_key, end_key, is_entry
from kubectl_localize.host.hosts import HOSTS_FILE, block_body
from kubectl_localize.model import HostsLine

PIECE_BYTES = 64 * 1024
_MARKER = b" kubectl localize "


@dataclass(frozen=True)
class HostsScan:
    """What a hosts file says about our names.

    Args:
        holders: for each of our names that stands outside of our own block, the key of the context whose block has it,
            else `HOSTS_FILE`.
        holds_block: whether our own block is there as it was written.
    """

    holders: dict[str, str] = field(default_factory=dict)
    holds_block: bool = False


def scan_file(path: str, own_key: str, lines: Sequence[HostsLine], names: Collection[str]) -> HostsScan:
    """Read a hosts file. Blocks.

    Args:
        path: the file.
        own_key: the key of the context whose block is ours.
        lines: what our block has to say.
        names: those that are looked for, in lower case.

    Raises:
        OSError: it cannot be read.
    """
    scanner = HostsScanner(own_key, lines, names)
    with Path(path).open("rb") as file:
        for piece in pieces(file):
            scanner.feed(piece)
    return scanner.end()


def pieces(file: BinaryIO, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """The file in pieces of about `size` bytes that end with a line; a longer line is cut between two words."""
    rest = b""
    while block := file.read(size):
        block = rest + block
        end = block.rfind(b"\n") + 1
        if not end and len(block) > size:
            end = max(block.rfind(space) for space in (b" ", b"\t")) + 1
        if end:
            yield block[:end]
        rest = block[end:]
    if rest:
        yield rest


class HostsScanner:
    """Takes the pieces of a hosts file, one after the other (the arguments are `scan_file`'s)."""

    def __init__(self, own_key: str, lines: Sequence[HostsLine], names: Collection[str]) -> None:
        self._own_key = own_key
        self._names = frozenset(name.encode() for name in names)
        self._expected = block_body(own_key, lines).encode()
        self._matched: int | None = None  # how much of `expected` our block has so far; None before our block
        self._holders: dict[str, str] = {}
        self._holder = HOSTS_FILE  # whose block this is
        self._undecided: list[bytes] | None = None  # entries in our block after a line that is none
        self._after_address = False  # whether the last piece ended within a line, after its address
        self._in_comment = False  # whether it ended within a comment

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        if not self._is_others(piece):
            for line in _lines(piece):
                self._take(line)

    def end(self) -> HostsScan:
        """What the file says, now that all of it has been read."""
        self._leave_block()
        holds_block = not self._expected or self._matched == len(self._expected)
        return HostsScan(self._holders, holds_block)

    def _is_others(self, piece: bytes) -> bool:
        """Whether it has whole lines, none of which has to do with us."""
        whole = piece.endswith(b"\n") and not (self._after_address or self._in_comment)
        plain = whole and self._holder == HOSTS_FILE and _MARKER not in piece
        return plain and self._names.isdisjoint(
            piece.lower().replace(b"#", b" ").split()
        )  # a comment may follow at once

    def _take(self, line: bytes) -> None:
        if self._after_address or self._in_comment:
            self._note(line)
            return
        text = line.decode("ascii", "replace") if line[:2] == b"# " and _MARKER in line else ""
        if (key := begin_key(text)) is not None:
            self._leave_block()
            self._holder = key
            if key == self._own_key and self._matched is None:
                self._matched = 0
        elif self._holder != self._own_key:
            if end_key(text) is not None:
                self._holder = HOSTS_FILE
            self._note(line)
        elif end_key(text) == self._own_key:
            self._match(line)
            self._undecided = None
            self._leave_block()
        else:
            self._take_own(line)

    def _take_own(self, line: bytes) -> None:
        """A line below our begin marker: our entries, or what others wrote between them."""
        self._match(line)
        if not is_entry(line.decode("ascii", "replace")):
            self._undecided = self._undecided or []
            self._note(line)
        elif self._undecided is not None:
            self._undecided.append(line)  # ours only if our end marker follows

    def _match(self, line: bytes) -> None:
        at = self._matched
        if at is not None and at < len(self._expected):
            self._matched = at + len(line) if self._expected.startswith(line, at) else len(self._expected) + 1

    def _leave_block(self) -> None:
        """The block ends here; what follows is the user's own until the next one begins."""
        if self._holder == self._own_key and (self._matched or 0) < len(self._expected):
            self._matched = len(self._expected) + 1
        self._holder = HOSTS_FILE
        for line in self._undecided or ():
            self._note(line)
        self._undecided = None

    def _note(self, line: bytes) -> None:
        """Keep those of our names that a line, or a part of one, has."""
        text, comment, _ = line.partition(b"#")
        words = [] if self._in_comment else text.lower().split()
        names = words if self._after_address else words[1:]
        ended = line.endswith(b"\n")
        self._after_address = not ended and bool(words or self._after_address)
        self._in_comment = not ended and bool(comment or self._in_comment)
        holder = HOSTS_FILE if self._holder == self._own_key else self._holder
        for name in self._names.intersection(names):
            # The user's own line outweighs another context's: it stays when that context stops.
            if self._holders.get(name.decode()) != HOSTS_FILE:
                self._holders[name.decode()] = holder


def _lines(piece: bytes) -> list[bytes]:
    """The lines with their newlines; only a line feed ends a line."""
    *whole, rest = piece.split(b"\n")
    return [line + b"\n" for line in whole] + ([rest] if rest else [])
