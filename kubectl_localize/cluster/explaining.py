"""Says of an API server that does not answer, or accepts no credentials, which one it is and what to do about it."""

from __future__ import annotations

from kubectl_localize.errors import ConfigurationError, LocalizeError, UnauthorizedError, UnreachableError
from kubectl_localize.model import Connection


def explained(error: LocalizeError, connection: Connection) -> LocalizeError:
    """The error in the user's words, with a hint.

    Args:
        error: what a request to the API server raised. One that has a hint, or is of another kind, stays as it is.
        connection: the way to that server.
    """
    if error.hint:
        return error
    server = f"the API server of context {connection.context}"
    match error:
        case UnreachableError():
            return UnreachableError(
                f"{server} at {connection.server} does not answer: {error.message}",
                "check the cluster, VPN and proxy; `kubectl get --raw /readyz` has to work first",
            )
        case UnauthorizedError():
            return UnauthorizedError(
                f"{server} does not accept your credentials: {error.message}",
                "log in again; `kubectl auth whoami` has to work first",
            )
        case ConfigurationError():
            return ConfigurationError(
                f"context {connection.context} cannot be used: {error.message}",
                "`kubectl get --raw /readyz` has to work first; `kubectl config view` shows what it uses",
            )
        case _:
            return error
