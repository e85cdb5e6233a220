"""The one tree of errors that people see: a sentence that says what is wrong and a hint that says what to do."""

from __future__ import annotations

from typing import Self


class LocalizeError(Exception):
    """Something the user has to know of; `cli` prints it once, as `error: …` and `hint: …`.

    Args:
        message: one sentence without a full stop, in the user's words.
        hint: one sentence that says what to do next; empty if there is nothing to do.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def reworded(self, message: str, hint: str) -> Self:
        """The same error of the same kind, with whatever else it knows, in other words."""
        error = type(self).__new__(type(self))
        error.__dict__.update(self.__dict__)
        error.args, error.message, error.hint = (message,), message, hint
        return error


class UsageError(LocalizeError):
    """The command line cannot be what the user meant (exit code 2)."""

    exit_code = 2


class KubectlError(LocalizeError):
    """A kubectl command failed for a reason that is known; the subclasses name the reasons that decisions rest on."""


class SpawnError(KubectlError):
    """kubectl, or ssh, could not be started at all: it is being replaced, say, or no process or descriptor is left."""


class ForbiddenError(KubectlError):
    """The API server knows the user and does not let them do this."""


class UnauthorizedError(KubectlError):
    """The API server does not accept the user's credentials."""


class ConfigurationError(KubectlError):
    """What the kubeconfig says leads nowhere: it, the context or a certificate is missing, or the CA is another one."""


class UnreachableError(KubectlError):
    """The API server does not answer."""


class NotFoundError(KubectlError):
    """The API server has no such object."""


class GoneError(KubectlError):
    """The resourceVersion is too old to resume from (HTTP 410): list anew."""


class BadRequestError(KubectlError):
    """The API server does not understand the request, such as a malformed label selector."""


class AlreadyExistsError(KubectlError):
    """The API server has an object of this name already."""


class ConflictError(KubectlError):
    """The object has changed since it was read."""


class InvalidError(KubectlError):
    """The API server or one of its admission plugins refuses the object."""
