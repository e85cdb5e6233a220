"""Stands in for helpers: one that notes the lines it writes, and may refuse, hang or be gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from kubectl_localize.host.helper_client import Helper, HelperError
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.sockets import bind_loopback
from kubectl_localize.host.system import this_system
from kubectl_localize.model import HostsLine, Options
from kubectl_localize.supervisor.forwarding.helpers import Helpers


class NotingHelper:
    """Keeps the lines that it was told to write.

    Attributes:
        refuses: whether it cannot write now.
        may_write, may_bind: cleared, a write or a bind hangs.
        writes, binds: how often it was asked to write, and to bind.
    """

    def __init__(self) -> None:
        self.lines: tuple[HostsLine, ...] = ()
        self.refuses = False
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.may_bind = asyncio.Event()
        self.may_bind.set()
        self.writes = 0
        self.binds = 0

    async def set_hosts(self, context: str, lines: Sequence[HostsLine]) -> None:
        self.writes += 1
        await self.may_write.wait()
        if self.refuses:
            raise HelperError("the hosts file is on a read-only file system")
        self.lines = tuple(lines)

    async def bind(self, address: str, port: int) -> socket.socket:
        self.binds += 1
        await self.may_bind.wait()
        return bind_loopback(address, port)


class StubHelpers(Helpers):
    """One connected helper, or none."""

    def __init__(self, helper: NotingHelper | None) -> None:
        super().__init__(RunPaths(Path("/nowhere/k")), Options(), this_system())
        self.connected = helper

    @property
    def hosts(self) -> Helper | None:
        return cast(Helper, self.connected) if self.connected is not None else None

    @property
    def privileged(self) -> Helper | None:
        return self.hosts

    def connect(self, helper: NotingHelper | None) -> None:
        """A helper connects, or the one that there is goes."""
        self.connected = helper
        self.changed.fire()
