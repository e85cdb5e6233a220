"""Asks the cluster for names without making anybody wait: in a process of its own that soon ends by itself."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kubectl_localize.cli.completion.cache import NameCache, Names, patience
from kubectl_localize.errors import ForbiddenError
from kubectl_localize.model import Connection

LIMIT_SECONDS = 3


@dataclass(frozen=True)
class Asking:
    """Lists of names of one cluster, from its cache or anew.

    Args:
        environ: the user's environment, for kubectl.
    """

    connection: Connection
    cache: NameCache
    environ: Mapping[str, str]

    def names(self, plural: str, namespace: str = "") -> Names:
        """The names of all `services` or `namespaces`, or those of one namespace; new ones, or what was said last."""
        what = f"{plural}.{namespace}" if namespace else plural
        known = self.cache.load(what)
        # Processor time stands for the time since this process began, which is not known as portably.
        seconds = patience(known, time.time(), time.process_time())
        if seconds is None:
            return known
        aside(lambda: self._renew(what, known, plural, namespace), seconds)
        return self.cache.load(what)

    def _renew(self, what: str, known: Names, plural: str, namespace: str) -> None:
        """Ask, and save what is answered."""
        from kubectl_localize.cluster import kubectl

        now = time.time()
        self.cache.save(what, replace(known, tried_at=now))  # so that the next Tab does not ask, too
        path = kubectl.raw_path("v1", plural, namespace, {})
        code, answer, complaint = _run(
            kubectl.get_raw(self.connection, path, timeout_seconds=LIMIT_SECONDS),
            kubectl.environment(self.connection, self.environ),
        )
        if code == 0:
            self.cache.save(what, Names(names_in(answer), now, now))
        elif isinstance(kubectl.explain(complaint.decode(errors="replace").splitlines(), code), ForbiddenError):
            self.cache.save(what, Names((), now, now, forbidden=True))


def names_in(answer: bytes) -> tuple[str, ...]:
    """The objects of a list as `ns/name`, or `name` where they are in no namespace.

    Raises: ValueError where it is no list of objects.
    """
    try:
        found = [entry["metadata"] for entry in json.loads(answer)["items"]]
        return tuple(f"{one['namespace']}/{one['name']}" if "namespace" in one else str(one["name"]) for one in found)
    except (KeyError, TypeError) as error:
        raise ValueError("no list of objects") from error


def aside(work: Callable[[], None], wait_seconds: float) -> None:
    """Do something in a process of its own, and wait so long for its end; it goes on if that is not enough.

    That process has no terminal and no output, so nothing of what becomes of it is ever seen.
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
    ended, _, _ = select.select([reading], [], [], wait_seconds)
    os.close(reading)
    if ended:
        os.waitpid(pid, 0)


def _run(argv: Sequence[str], environ: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a kubectl; when it takes too long this whole group of processes ends."""
    import subprocess

    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environ)
    )
    try:
        answer, complaint = process.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)  # a credential plugin, too
        raise
    return process.returncode, answer, complaint
