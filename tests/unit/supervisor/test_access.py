"""What fails for good is kept for as long as it lasts, and what failed for it is tried again after that."""

from __future__ import annotations

import pytest

from kubectl_localize.errors import (
    ConfigurationError,
    ForbiddenError,
    KubectlError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.supervisor.access import Access
from kubectl_localize.timing import Notifier


class Retries:
    """Counts how often it was told to try again."""

    count = 0

    def retry_failed(self) -> None:
        self.count += 1


@pytest.mark.parametrize("error", [UnauthorizedError("expired"), ConfigurationError("x509: unknown authority")])
def test_a_lasting_problem_stays_until_a_request_works(error: KubectlError) -> None:
    changed, retries = Notifier(), Retries()
    access = Access(changed)
    access.follow(retries)
    access.failed(error)
    access.failed(error)
    assert (access.problem, changed.count, retries.count) == (error.message, 1, 0)
    access.failed(UnreachableError("no route"))
    assert access.problem == error.message, "an API server that is away has accepted nothing"
    access.worked()
    access.worked()
    assert (access.problem, changed.count, retries.count) == ("", 2, 1)


@pytest.mark.parametrize("error", [ForbiddenError("no"), NotFoundError("none")])
def test_an_answer_of_any_kind_shows_that_the_credentials_are_accepted(error: KubectlError) -> None:
    access = Access(Notifier())
    access.failed(UnauthorizedError("expired"))
    access.failed(error)
    assert access.problem == ""


def test_what_was_forgotten_is_not_told() -> None:
    access, retries = Access(Notifier()), Retries()
    access.follow(retries)
    access.forget(retries)
    access.retry()
    assert retries.count == 0
