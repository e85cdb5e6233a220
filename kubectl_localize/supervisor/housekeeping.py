"""Looks every second after what a supervisor itself rests on: its guard, and its files, which somebody may remove."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.group_ledger import GroupLedger
from kubectl_localize.host.paths import RunPaths, make_private
from kubectl_localize.host.process import Pidfile

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class Resident(Protocol):
    """Has files in the supervisor's directory (`app.App`)."""

    def misses_socket(self) -> bool:
        """Whether the control socket should be there, and is not."""

    async def remake_files(self) -> None:
        """Make all of them anew; raises OSError or LocalizeError if one cannot be made now."""

    def give_way(self) -> None:
        """End: another supervisor has the directory."""


class Housekeeping:
    """See the module.

    Args:
        run: the supervisor's files.
        pidfile: held by this process.
        groups: knows the guard.
        open_log: opens the log; raises OSError.
    """

    def __init__(self, run: RunPaths, pidfile: Pidfile, groups: GroupLedger, open_log: Callable[[], None]) -> None:
        self._run = run
        self._pidfile = pidfile
        self._groups = groups
        self._open_log = open_log
        self._problem = ""

    async def run(self, resident: Resident) -> None:
        """Look until cancelled, or until another supervisor has the directory."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._look_after_guard()
            if self._pidfile.is_there and not resident.misses_socket():
                continue
            if not await self._remake(resident):
                resident.give_way()
                return

    def leave(self) -> None:
        """Remove the pidfile, but keep its lock until this process has ended."""
        self._pidfile.leave()

    # -- the guard ----------------------------------------------------------------------------------------------------
    def _look_after_guard(self) -> None:
        try:
            if self._groups.replace_lost_guard():
                log.warning("the guard was killed or stopped; another one has taken its place")
        except OSError as error:
            self._say(f"there is no guard, and none can be started: {error.strerror or error}")

    # -- the files ----------------------------------------------------------------------------------------------------
    async def _remake(self, resident: Resident) -> bool:
        """Make what was removed anew; what fails is tried again at the next look.

        Returns:
            False if another supervisor has started there meanwhile.
        """
        try:
            make_private(self._run.directory.parent)
            make_private(self._run.directory)
            if not self._pidfile.is_there:
                pidfile = Pidfile.acquire(self._run.pidfile)
                if pidfile is None:
                    log.warning("the files in %s were removed, and another supervisor runs there", self._run.directory)
                    return False
                self._pidfile.let_go()
                self._pidfile = pidfile
            if not self._run.log.exists():
                self._open_log()
            self._groups.save()
            await resident.remake_files()
        except (OSError, LocalizeError) as error:
            self._say(f"the files in {self._run.directory} were removed, and cannot be made anew: {error}")
        else:
            self._problem = ""
            log.warning("the files in %s were removed; they have been made anew", self._run.directory)
        return True

    def _say(self, problem: str) -> None:
        """Log a problem, once for as long as it lasts."""
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem
