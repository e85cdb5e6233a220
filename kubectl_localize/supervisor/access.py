"""Whether the cluster still accepts what the kubeconfig says: what fails for good is kept for as long as it lasts."""

from __future__ import annotations

import logging
from typing import Protocol

from kubectl_localize.errors import ConfigurationError, KubectlError, UnauthorizedError, UnreachableError
from kubectl_localize.timing import Notifier

log = logging.getLogger(__name__)


class Retriable(Protocol):
    """Has something that is not tried again soon, as it failed for a reason that lasts."""

    def retry_failed(self) -> None: ...


class Access:
    """What API requests have last said about credentials and kubeconfig.

    Args:
        changed: fired when access is lost or is there again.

    Attributes:
        problem: why the cluster cannot be used until somebody mends that; empty if all is well.
    """

    def __init__(self, changed: Notifier) -> None:
        self._changed = changed
        self._retriables: list[Retriable] = []
        self.problem = ""

    def follow(self, retriable: Retriable) -> None:
        """Have something tried again as soon as access is there again."""
        self._retriables.append(retriable)

    def forget(self, retriable: Retriable) -> None:
        """Have it tried again no more."""
        self._retriables.remove(retriable)

    def worked(self) -> None:
        """Note a request that the API server has answered."""
        if self.problem:
            log.warning("the cluster can be used again")
            self.problem = ""
            self.retry()

    def failed(self, error: KubectlError) -> None:
        """Note a request that failed; an API server that cannot be reached says nothing about access to it."""
        if isinstance(error, (ConfigurationError, UnauthorizedError)):
            if error.message != self.problem:
                log.warning("the cluster cannot be used: %s", error.message)
                self.problem = error.message
                self._changed.fire()
        elif not isinstance(error, UnreachableError):
            self.worked()

    def retry(self) -> None:
        """Have everything tried again that failed for a lasting reason: it may be mended."""
        for retriable in self._retriables:
            retriable.retry_failed()
        self._changed.fire()
