"""The state file: the same document as `ls -o json` shows, written when something in it has changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from kubectl_localize.ls_document import LsDocument

log = logging.getLogger(__name__)


class StateFile:
    """Writes a document, at most as often as `write` is called.

    Args:
        write: replaces a file's text at once (`host.paths.write_atomic`).
    """

    def __init__(self, path: Path, write: Callable[[Path, str], None]) -> None:
        self._path = path
        self._write = write
        self._last = ""
        self.problem = ""

    def put(self, document: LsDocument) -> None:
        """Write the document unless the file says it already; `problem` says what failed until a write succeeds."""
        text = json.dumps(document.to_json(), separators=(",", ":"))
        if text == self._last:
            return
        try:
            self._write(self._path, text)
        except OSError as error:
            if not self.problem:
                log.warning("%s: %s", self._path, error)
            self.problem = f"the state file cannot be written, so `ls` is out of date: {error.strerror or error}"
            return
        self._last, self.problem = text, ""
