"""Follows what others do to the hosts file: which of our names they hold, and whether they have taken our block out."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from functools import partial

from kubectl_localize.host.blocking import in_daemon_thread
from kubectl_localize.host.hosts_scan import HostsScan, scan_file
from kubectl_localize.model import HostsLine


class HostsFileMonitor:
    """Reads the hosts file beside the event loop, and only if it has changed or new names have come.

    Others that take our block out are VPN clients, editors, cloud-init.

    Args:
        path: the hosts file.
        key: the context's key, which marks the block.
    """

    def __init__(self, path: str, key: str) -> None:
        self._path = path
        self._key = key
        self._seen: tuple[int, ...] | None = None
        self._names: frozenset[str] = frozenset()
        self._scan = HostsScan()

    @property
    def holders(self) -> Mapping[str, str]:
        """Who holds names outside of our block, as of the last look: see `HostsScan`."""
        return self._scan.holders

    async def lost(self, lines: Sequence[HostsLine], names: frozenset[str]) -> bool:
        """Whether the file has lost the block with these lines, and has not changed since the last look.

        A program that is still writing is left to finish: if we wrote now, we would keep its half-written file. For
        the same reason a file that is not there, or that cannot be read, has lost nothing.

        Args:
            lines: what our block has to say.
            names: those that `holders` has to know about.
        """
        try:
            state = self._state()
            rests = state == self._seen
            if not rests or not names <= self._names:
                self._scan = await in_daemon_thread(
                    partial(scan_file, self._path, self._key, lines, names), "hosts-file"
                )
                self._seen, self._names = state, names
        except (OSError, RuntimeError):  # RuntimeError: no thread can be started
            self._scan = HostsScan()
            self.forget()
            return False
        return rests and not self._scan.holds_block

    def forget(self) -> None:
        """Read the file at the next look, since what it has to hold has changed."""
        self._seen = None

    def _state(self) -> tuple[int, ...]:
        """What changes with each write.

        Raises:
            OSError: there is no such file, or it is a pipe, which would be read for ever.
        """
        status = os.stat(self._path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{self._path} is no file")
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
