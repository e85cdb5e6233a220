"""Notices that somebody else has taken our managed block out of the hosts file: a VPN client, an editor, cloud-init."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kubectl_localize.host.hosts import holds_block
from kubectl_localize.model import HostsLine

_State = tuple[int, int, int, int, int]


class HostsFileMonitor:
    """The hosts file as it was looked at last; it is read only when it has changed since.

    Args:
        path: the hosts file.
        key: the context's key.
    """

    def __init__(self, path: str, key: str) -> None:
        self._path = path
        self._key = key
        self._seen: _State | None = None
        self._missing = False

    def look(self, lines: Sequence[HostsLine]) -> bool:
        """Whether the file has lost the block with these lines, and has not changed since the last look.

        Whoever is still writing is left to finish: what is there halfway would be kept instead of what was to come.
        So a file that is not there, or cannot be read, has lost nothing either.
        """
        try:
            state = self._state()
            if state == self._seen:
                return self._missing
            text = Path(self._path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            self._seen, self._missing = None, False
            return False
        self._seen, self._missing = state, not holds_block(text, self._key, lines)
        return False

    def forget(self) -> None:
        """Read the file at the next look, since what it has to hold has changed."""
        self._seen, self._missing = None, False

    def _state(self) -> _State:
        found = os.stat(self._path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
