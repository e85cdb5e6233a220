"""The hosts file's text: the managed block of a context, and the names that others already hold.

The helper cannot import this package, so the functions that it needs, too, are written in `helper`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_localize.host.helper import (
    BadRequestError,
    begin_key,
    check_name,
    end_key,
    format_block,
    replace_block,
    split_lines,
)
from kubectl_localize.model import HostsLine

__all__ = ["HOSTS_FILE", "holds_block", "may_be_written", "names_taken", "render_block", "replace_block"]

HOSTS_FILE = "hosts file"


def render_block(key: str, label: str, lines: Sequence[HostsLine]) -> str:
    """Return the managed block of a context; empty if there are no names.

    It is ASCII, and every line is shorter than 500 bytes: an address with many names gets several lines.

    Args:
        key: the context's key.
        label: what people call the context.
        lines: what the block says.
    """
    return format_block(key, label, [(line.address, line.names) for line in lines])


def holds_block(text: str, key: str, lines: Sequence[HostsLine]) -> bool:
    """Whether a hosts file holds a context's managed block.

    Args:
        text: the hosts file.
        key: the context's key.
        lines: what the block has to say; without names there is no block, and every file counts as holding it.
    """
    body = render_block(key, "", lines).partition("\n")[2]
    if not body:
        return True
    text_lines = split_lines(text)
    begin = next((index for index, line in enumerate(text_lines) if begin_key(line) == key), None)
    return begin is not None and "".join(text_lines[begin + 1 :]).startswith(body)


def may_be_written(name: str) -> bool:
    """Whether the helper accepts this name; a single name that it does not accept makes it refuse all of them."""
    try:
        check_name(name)
    except BadRequestError:
        return False
    return True


def names_taken(text: str, own_key: str) -> dict[str, str]:
    """Return the names that the hosts file holds outside our own managed block.

    Args:
        text: the hosts file.
        own_key: the key of the context whose block does not count.

    Returns:
        For each name, in lower case, the key of the context whose managed block holds it, else `HOSTS_FILE`.
    """
    taken: dict[str, str] = {}
    holder = HOSTS_FILE
    for line in split_lines(replace_block(text, own_key, "")):
        key = begin_key(line)
        if key is not None:
            holder = key
        elif end_key(line) is not None:
            holder = HOSTS_FILE
        for name in line.partition("#")[0].split()[1:]:
            # The user's own line outweighs another context's: it stays when that context stops.
            if taken.get(name.lower()) != HOSTS_FILE:
                taken[name.lower()] = holder
    return taken
