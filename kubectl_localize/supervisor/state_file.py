"""The state file, which `ls` reads: written when something in it has changed, a few times a second at most."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from kubectl_localize.host.files import mark_outdated
from kubectl_localize.ls_document import LsDocument
from kubectl_localize.supervisor.reporter import Reporter
from kubectl_localize.timing import Clock

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
LOOKS_BETWEEN_COUNTS = 4


class StateSource(Protocol):
    """Knows what the state file has to say."""

    def activity(self) -> tuple[int, int]:
        """Two numbers that grow, the first with every change, the second with every read of relayed bytes."""

    def document(self) -> LsDocument:
        """What `ls` shows now."""


class StateFile:
    """Keeps the file true to its source.

    Args:
        path: the file.
        write: replaces a file's text in one step (`host.paths.write_atomic`); raises OSError.
        source: what the file says.
        clock: for the pauses.
        reporter: hears when the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        write: Callable[[Path, str], None],
        source: StateSource,
        clock: Clock,
        reporter: Reporter,
    ) -> None:
        self._path = path
        self._write = write
        self._source = source
        self._clock = clock
        self._reporter = reporter
        self._last = ""
        self._problem = ""

    async def run(self) -> None:
        """Keep the file up to date until cancelled: changes at once, counters every other second."""
        written = (0, 0)
        look = 0
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            look += 1
            activity = self._source.activity()
            changed = activity[0] != written[0]
            counted = activity[1] != written[1] and look % LOOKS_BETWEEN_COUNTS == 0
            if changed or counted or self._problem:
                written = activity
                self.update()

    def update(self) -> LsDocument:
        """Write what the source says now, unless the file says it already, and return it. A failure is said once."""
        document = self._source.document()
        text = json.dumps(document.to_json(), separators=(",", ":"))
        if text != self._last:
            self._replace(text)
        return document

    def rewrite(self) -> None:
        """Write the file whatever was written before: somebody has removed it."""
        self._last = ""
        self.update()

    def _replace(self, text: str) -> None:
        try:
            self._write(self._path, text)
        except OSError as error:
            mark_outdated(self._path)
            problem = f"the state file cannot be written, so `ls` is out of date: {error.strerror or error}"
            if problem != self._problem:
                self._reporter.warn(problem)
            self._problem = problem
            return
        self._last, self._problem = text, ""

    def remove(self) -> None:
        """Delete the file: nothing runs any more."""
        self._path.unlink(missing_ok=True)
