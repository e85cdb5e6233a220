"""What is said of exposures that are to end, and cannot be brought back for now; pure."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_localize.errors import ForbiddenError, LocalizeError, UnauthorizedError


def postponed(error: LocalizeError, *, serving: bool) -> LocalizeError:
    """The error that says why the way back has not been walked yet, and what happens now.

    Args:
        error: of the last attempt.
        serving: whether the local process goes on serving the Service meanwhile.
    """
    meanwhile = "it is served from here until then" if serving else "nothing has to be done here"
    if isinstance(error, ForbiddenError):
        hint = error.hint
    elif isinstance(error, UnauthorizedError):
        hint = "log in to the cluster again"
    else:
        hint = "`kubectl localize ls` shows how far it is"
    return LocalizeError(error.message, f"{hint}; it is tried again until it is done, and {meanwhile}")


def ending(pid: int, waiting: Sequence[tuple[str, str]]) -> LocalizeError:
    """The error for a command that wants to begin something in a supervisor that ends, and waits for exposures.

    Args:
        pid: the supervisor's.
        waiting: each Service, as `ns/name`, and why its exposure is not back yet.
    """
    names = ", ".join(service for service, _ in waiting)
    reasons = "; ".join(dict.fromkeys(reason for _, reason in waiting))
    return LocalizeError(
        f"the supervisor with pid {pid} is ending, and {names} is not back yet: {reasons}",
        f"`kubectl localize stop` tries again; `kill -9 {pid}` gives up",
    )
