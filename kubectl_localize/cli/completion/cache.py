"""What a cluster said last of its names, on disk: small files that are replaced at once and read without a lock."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from kubectl_localize.host.paths import context_key, make_private, write_atomic
from kubectl_localize.model import Connection

FRESH_SECONDS = 15.0
FORBIDDEN_SECONDS = 600.0  # rights change seldom
RETRY_SECONDS = 10.0
ANSWER_SECONDS = 0.2  # all that a Tab may take of ours; kubectl, through which it comes, takes its own tenth
FIRST_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Names:
    """The names that one list request gave.

    Args:
        names: as they were listed last.
        listed_at: when that was, in seconds since the epoch; 0 for never.
        tried_at: when it was tried last, with or without success.
        forbidden: the API server does not let this user list them.
    """

    names: tuple[str, ...] = ()
    listed_at: float = 0.0
    tried_at: float = 0.0
    forbidden: bool = False


def patience(names: Names, now: float, spent_seconds: float) -> float | None:
    """For how many seconds a Tab waits for a new answer; None where it should not even ask.

    Args:
        now: in seconds since the epoch.
        spent_seconds: what this Tab has taken so far.

    What is known is shown within the blink of an eye, however the cluster does. Only who knows nothing waits longer,
    and only once while the cluster does not answer.
    """
    fresh_seconds = FORBIDDEN_SECONDS if names.forbidden else FRESH_SECONDS
    if 0 <= now - names.listed_at < fresh_seconds or 0 <= now - names.tried_at < RETRY_SECONDS:
        return None
    return max(0.0, ANSWER_SECONDS - spent_seconds) if names.listed_at else FIRST_WAIT_SECONDS


class NameCache:
    """The files of one cluster and user.

    Args:
        root: the directory of all state of this user.
        key: names the cluster and the user.
    """

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self._directory = root / "completion" / key

    def load(self, what: str) -> Names:
        """What was saved; an empty one where there is nothing, or nothing that can be read."""
        try:
            found = json.loads((self._directory / f"{what}.json").read_text(encoding="utf-8"))
            return Names(
                tuple(str(name) for name in found["names"]),
                float(found["listedAt"]),
                float(found["triedAt"]),
                found["forbidden"] is True,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return Names()

    def save(self, what: str, names: Names) -> None:
        """Replace it.

        Raises: LocalizeError or OSError where it cannot be written.
        """
        for directory in (self._root, self._root / "completion", self._directory):
            make_private(directory)
        document = {
            "names": names.names,
            "listedAt": names.listed_at,
            "triedAt": names.tried_at,
            "forbidden": names.forbidden,
        }
        write_atomic(self._directory / f"{what}.json", json.dumps(document))


def cache_key(connection: Connection, uid: int, root: Path) -> str:
    """The name under which a cluster's names are kept: its context's key, and who asks where that is not its user."""
    key = context_key(connection.context, connection.server, uid, root)
    who = (connection.cluster, connection.user, connection.impersonate, *connection.impersonate_groups)
    if not any(who):
        return key
    return f"{key}-{hashlib.sha256(chr(0).join(who).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
