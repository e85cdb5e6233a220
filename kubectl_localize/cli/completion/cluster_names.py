"""Names of Services and namespaces for Tab: from a cache on disk, and from the cluster without waiting for it.

A Tab may take 0.2 s, and a cluster may be away. So the answer comes from the cache, and what asks the cluster is a
process of its own, which goes on after the answer and is there for the next Tab.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kubectl_localize.errors import ForbiddenError
from kubectl_localize.host.files import read_json
from kubectl_localize.host.paths import context_key, make_private, write_atomic
from kubectl_localize.json_text import parse_json
from kubectl_localize.model import Connection

FRESH_SECONDS = 15.0
FORBIDDEN_SECONDS = 600.0  # rights change seldom
RETRY_SECONDS = 10.0
ANSWER_SECONDS = 0.2  # for all of a Tab but kubectl, through which it comes and which takes a tenth of its own
FIRST_WAIT_SECONDS = 1.0
KUBECTL_SECONDS = 3


@dataclass(frozen=True)
class Names:
    """What one list request returned.

    Args:
        names: as they were listed last.
        listed_at: when that was, in seconds since the epoch; 0 for never.
        tried_at: when it was tried last, with or without success.
        forbidden: whether the API server does not let this user list them.
    """

    names: tuple[str, ...] = ()
    listed_at: float = 0.0
    tried_at: float = 0.0
    forbidden: bool = False


def wait_seconds(names: Names, now: float, spent_seconds: float) -> float | None:
    """How long a Tab waits for a new answer; pure.

    Known names are shown at once, however the cluster does. Only if nothing is known, a Tab waits longer, and only the
    first one while the cluster does not answer.

    Args:
        names: what is known.
        now: in seconds since the epoch.
        spent_seconds: what this Tab has taken so far.

    Returns:
        Seconds; None if the cluster should not be asked at all.
    """
    fresh_seconds = FORBIDDEN_SECONDS if names.forbidden else FRESH_SECONDS
    if 0 <= now - names.listed_at < fresh_seconds or 0 <= now - names.tried_at < RETRY_SECONDS:
        return None
    return max(0.0, ANSWER_SECONDS - spent_seconds) if names.listed_at else FIRST_WAIT_SECONDS


# -- the cache --------------------------------------------------------------------------------------------------------
class NameCache:
    """The names of one cluster as one user sees them: a small file for each list, replaced at once, read without lock.

    Args:
        root: the directory of all state of this user.
        key: names the cluster and the user (`cache_key`).
    """

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self._directory = root / "completion" / key

    def load(self, list_name: str) -> Names:
        """Load the saved names; none if there is no file, or it cannot be read."""
        try:
            saved = read_json(self._directory / f"{list_name}.json")
            return Names(
                tuple(str(name) for name in saved["names"]),
                float(saved["listedAt"]),
                float(saved["triedAt"]),
                saved["forbidden"] is True,
            )
        except (OSError, ValueError, KeyError, TypeError):
            return Names()

    def save(self, list_name: str, names: Names) -> None:
        """Replace what was saved.

        Raises:
            LocalizeError: the directory is not this user's alone.
            OSError: it cannot be written.
        """
        for directory in (self._root, self._root / "completion", self._directory):
            make_private(directory)
        document = {
            "names": names.names,
            "listedAt": names.listed_at,
            "triedAt": names.tried_at,
            "forbidden": names.forbidden,
        }
        write_atomic(self._directory / f"{list_name}.json", json.dumps(document))


def cache_key(connection: Connection, uid: int, root: Path) -> str:
    """The file name of a cluster's cache: the context's key, and a hash of the user if flags name one."""
    key = context_key(connection.context, connection.identity, uid, root)
    flags = (connection.cluster, connection.user, connection.impersonate, *connection.impersonate_groups)
    if not any(flags):
        return key
    import hashlib

    return f"{key}-{hashlib.sha256(chr(0).join(flags).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


# -- asking -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class ClusterNames:
    """The names of one cluster, from its cache or anew.

    Args:
        connection: which cluster, and as whom.
        cache: what it said last.
        environ: the user's environment, for kubectl.
    """

    connection: Connection
    cache: NameCache
    environ: Mapping[str, str]

    def names(self, plural: str, namespace: str = "") -> Names:
        """The names of all objects of a kind.

        Args:
            plural: `services` or `namespaces`.
            namespace: only its own; empty: of all namespaces.

        Returns:
            New ones if the cluster answers quickly, else what it said last.
        """
        list_name = f"{plural}.{namespace}" if namespace else plural
        cached = self.cache.load(list_name)
        # Processor time stands for the time since this process began, which is not known as portably.
        seconds = wait_seconds(cached, time.time(), time.process_time())
        if seconds is None:
            return cached
        run_aside(lambda: self._refresh(list_name, cached, plural, namespace), seconds)
        return self.cache.load(list_name)

    def _refresh(self, list_name: str, cached: Names, plural: str, namespace: str) -> None:
        """Ask the cluster, and save what it answers."""
        from kubectl_localize.cluster import kubectl

        now = time.time()
        self.cache.save(list_name, replace(cached, tried_at=now))  # so that the next Tab does not ask, too
        path = kubectl.raw_path("v1", plural, namespace, {})
        code, stdout, stderr = _run_kubectl(
            kubectl.get_raw(self.connection, path, timeout_seconds=KUBECTL_SECONDS),
            kubectl.environment(self.connection, self.environ),
        )
        if code == 0:
            self.cache.save(list_name, Names(names_in(stdout), now, now))
        elif isinstance(kubectl.explain(stderr.decode(errors="replace").splitlines(), code), ForbiddenError):
            self.cache.save(list_name, Names((), now, now, forbidden=True))


def names_in(answer: bytes) -> tuple[str, ...]:
    """The objects of a list as `ns/name`, or `name` if they are in no namespace.

    Names that no API server allows are left out: shells may take them for more than a word.

    Args:
        answer: the list as the API server writes it, in JSON.

    Raises:
        ValueError: it is no list of objects.
    """
    from kubectl_localize.cluster.objects import is_name

    try:
        objects = [item["metadata"] for item in parse_json(answer)["items"]]
        parts = [
            (metadata["namespace"], metadata["name"]) if "namespace" in metadata else (metadata["name"],)
            for metadata in objects
        ]
        return tuple("/".join(words) for words in parts if all(map(is_name, words)))
    except (KeyError, TypeError) as error:
        raise ValueError("no list of objects") from error


def run_aside(work: Callable[[], None], seconds: float) -> None:
    """Run something in a process of its own, and wait for its end, but not longer than this; it then goes on.

    It has no terminal and no output, so nothing of it is ever seen. It ends by itself.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            nothing = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(nothing, descriptor)
            work()
        finally:
            os._exit(0)
    os.close(writing)
    ended, _, _ = select.select([reading], [], [], seconds)
    os.close(reading)
    if ended:
        os.waitpid(pid, 0)


def _run_kubectl(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """Run kubectl; return exit code, stdout and stderr. If it takes too long, end this whole process group."""
    import subprocess

    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environ)
    )
    try:
        stdout, stderr = process.communicate(timeout=KUBECTL_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)  # a credential plugin, too
        raise
    return process.returncode, stdout, stderr
