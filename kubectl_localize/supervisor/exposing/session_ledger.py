"""Which exposures this machine has begun and not ended, so that the next start knows where to look after a crash."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


class SessionLedger:
    """A file with the sessions of one context and their namespaces; written before the cluster hears of a session.

    Args:
        write: replaces a file's text at once, and on the disk (`host.paths.write_durable`): the next start has to find
            it though the machine loses power right then.
    """

    def __init__(self, path: Path, write: Callable[[Path, str], None]) -> None:
        self._path = path
        self._write = write

    def sessions(self) -> dict[str, str]:
        """The namespace of each session; none where there is no readable file."""
        try:
            found = json.loads(self._path.read_text())["sessions"]
            return {str(session): str(namespace) for session, namespace in found.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def add(self, session: str, namespace: str) -> None:
        """A session is about to begin.

        Raises: OSError where it cannot be written; then nothing may be begun.
        """
        self._put({**self.sessions(), session: namespace})

    def remove(self, session: str) -> None:
        """A session has ended, and nothing of it is left."""
        sessions = self.sessions()
        if sessions.pop(session, None) is None:
            return
        if sessions:
            self._put(sessions)
        else:
            self._path.unlink(missing_ok=True)

    def _put(self, sessions: dict[str, str]) -> None:
        self._write(self._path, json.dumps({"sessions": sessions}))
