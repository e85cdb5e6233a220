"""The helpers of a supervisor: the privileged one, and an unprivileged one if this user may write the hosts file."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from kubectl_localize.host.helper_client import Helper, HelperError
from kubectl_localize.host.helper_command import helper_argv
from kubectl_localize.host.helper_server import HelperServer
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.host.system import System
from kubectl_localize.model import Options
from kubectl_localize.supervisor.forwarding.unprivileged_helper import UnprivilegedHelper
from kubectl_localize.timing import Notifier, all_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrivilegeRequest:
    """What this user may not do without the privileged helper; false if there is nothing of the kind.

    Args:
        hosts: whether the hosts file has to be written.
        ports: the ports below 1024 that have to be bound.
        addresses: whether addresses have to be added to the loopback interface (macOS).
    """

    hosts: bool
    ports: tuple[int, ...]
    addresses: bool = False

    def __bool__(self) -> bool:
        return self.hosts or bool(self.ports) or self.addresses


class Helpers:
    """Which helper is connected, and which of them may do what.

    Args:
        run: the files of this supervisor, with the sockets that helpers connect to.
        options: which hosts file is written, and which addresses are ours.
        system: the operating system.

    Attributes:
        changed: fires when a helper has connected or is gone.
    """

    def __init__(self, run: RunPaths, options: Options, system: System) -> None:
        self.changed = Notifier()
        self._hosts_file = options.hosts_file
        self._wants_hosts = options.hosts
        self._system = system
        self._privileged = HelperServer(run.helper_socket, on_change=self._note)
        self._own = UnprivilegedHelper(
            HelperServer(run.own_socket, on_change=self._note),
            helper_argv(
                socket=run.own_socket,
                uid=os.getuid(),
                key=run.key,
                hosts_file=options.hosts_file,
                ip_range=options.ip_range,
                use_sudo=False,
                interactive=False,
            ),
        )

    async def start(self) -> None:
        """Let the privileged helper connect, and start the user's own if that one may write the hosts file.

        Raises:
            OSError: there is no socket to connect to.
        """
        await self._privileged.start()
        if self._wants_hosts and self._user_may_write():
            await self._own.begin()

    async def remake_sockets(self) -> None:
        """Make the sockets anew, which somebody has removed; raises OSError if one cannot be."""
        await self._privileged.start()
        await self._own.remake_socket()

    async def look_after(self) -> None:
        """Start the user's own helper again if it is gone."""
        await self._own.look_after()

    async def close(self) -> None:
        """Make both helpers undo what they did; return when that is done."""
        await all_of(self._own.close(), self._privileged.close())

    @property
    def hosts(self) -> Helper | None:
        """The helper that writes the hosts file. Root writes the system's file only, never one that the user chose."""
        return self._own.helper or (self._privileged.helper if self._is_systems_file() else None)

    @property
    def privileged(self) -> Helper | None:
        """The helper that binds ports below 1024."""
        return self._privileged.helper

    async def add_address(self, address: str) -> None:
        """Add an address to the loopback interface (macOS); the user's own helper may do so if the user is root.

        Raises:
            HelperError: no helper can.
        """
        helper = self._privileged.helper or self._own.helper
        if helper is None:
            raise HelperError(f"{address} has to be added to the loopback interface, which needs sudo")
        await helper.alias(address, True)

    # -- what is needed of root ---------------------------------------------------------------------------------------
    def needs_root_for_hosts(self) -> bool:
        """Whether names are to be written to a file that this user may not write."""
        return self._wants_hosts and self._is_systems_file() and not self._user_may_write()

    def root_could_write_hosts(self) -> bool:
        """Whether a privileged helper, which is not connected, could write the hosts file."""
        return self._is_systems_file() and self._privileged.helper is None

    def needs_root_for_addresses(self) -> bool:
        """Whether addresses have to be added to loopback, and nobody is connected who may do so."""
        return self._system.aliases_loopback and os.geteuid() != 0 and self._privileged.helper is None

    def first_unprivileged_port(self) -> int:
        """The lowest port that this user may bind."""
        return self._system.unprivileged_port_start() if os.geteuid() else 0

    def _is_systems_file(self) -> bool:
        return self._hosts_file == Options().hosts_file

    def _user_may_write(self) -> bool:
        """Whether this user may write the hosts file, or make it if it is not there."""
        path = self._hosts_file
        return os.access(path, os.W_OK) or (not os.path.exists(path) and os.access(os.path.dirname(path), os.W_OK))

    def _note(self, helper: Helper | None) -> None:
        if helper is None:
            log.warning("a helper is gone")
        self.changed.fire()
