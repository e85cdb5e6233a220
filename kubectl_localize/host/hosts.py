"""The hosts file's text: the managed block of a context, and which names may stand there.

The helper cannot import this package, so the functions that it needs, too, are written in `helper`.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_localize.host.helper import BadRequestError, check_name, format_block, machine_names, replace_block
from kubectl_localize.model import HostsLine

__all__ = ["HOSTS_FILE", "block_body", "machine_names", "may_be_written", "render_block", "replace_block"]

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


def block_body(key: str, lines: Sequence[HostsLine]) -> str:
    """The managed block of a context without its begin marker, to which others may have added; empty without names."""
    return render_block(key, "", lines).partition("\n")[2]


def may_be_written(name: str) -> bool:
    """Whether the helper accepts this name; a single name that it does not accept makes it refuse all of them."""
    try:
        check_name(name)
    except BadRequestError:
        return False
    return True
