"""Takes over what a colleague has claimed whose machine has been silent for long (`expose --take-over`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from kubectl_localize.cluster.api import Api
from kubectl_localize.cluster.exposing.claims import ExposedAlreadyError, against_taking_over
from kubectl_localize.cluster.exposing.journal import GROUP_VERSION, Entry, collection
from kubectl_localize.cluster.exposing.values import SESSION_LABEL
from kubectl_localize.errors import LocalizeError
from kubectl_localize.supervisor.exposing import sessions
from kubectl_localize.supervisor.exposing.progress import Progress
from kubectl_localize.supervisor.exposing.rollback import Rollback
from kubectl_localize.supervisor.exposing.sessions import Judge
from kubectl_localize.timing import Clock

Json = dict[str, Any]


class Colleagues:
    """See the module.

    Args:
        judge: tells our own sessions from others.
    """

    def __init__(self, api: Api, judge: Judge, clock: Clock) -> None:
        self._api = api
        self._judge = judge
        self._clock = clock

    async def judge(self, error: ExposedAlreadyError) -> list[str]:
        """Make sure that a session may be taken over.

        Args:
            error: what the checks have met.

        Returns:
            What would be undone, a line for each workload.

        Raises:
            LocalizeError: it may not.
        """
        held = error.held
        if self._judge.is_of_here(held[0]):
            raise error
        namespace = held[0].namespace
        pods = await self._api.items("v1", "pods", namespace, f"{SESSION_LABEL}={held[0].session}")
        if against := against_taking_over(held, pods, await self._server_time(namespace)):
            raise LocalizeError(
                f"{held[0].services[0]} cannot be taken over from {held[0].owner}: {against}",
                f"ask {held[0].owner.login}; `kubectl localize ls --cluster` shows who exposes what",
            )
        return sessions.describe_undo(held)

    async def take_over(self, error: ExposedAlreadyError, progress: Progress) -> None:
        """Undo a session, so that its Services can be exposed from here.

        Its supervisor, if it comes back after all, finds its journal gone, and ends.

        Raises:
            LocalizeError: it may not be taken over, or could not be undone.
        """
        await self.judge(error)
        progress.step(f"taking {_services(error.held)} over from {error.held[0].owner}")
        await Rollback(self._api, error.held, self._clock, progress).run()

    async def _server_time(self, namespace: str) -> datetime:
        """The API server's time: what it would give an object that is made now. Our own clock may be wrong."""
        lease = {"apiVersion": GROUP_VERSION, "kind": "Lease", "metadata": {"generateName": "localize-"}}
        tried = await self._api.create(collection(namespace), lease, dry_run=True)
        try:
            return datetime.fromisoformat(tried["metadata"]["creationTimestamp"].replace("Z", "+00:00"))
        except (KeyError, ValueError):
            return self._judge.now()


def _services(held: Sequence[Entry]) -> str:
    return ", ".join(held[0].services)
