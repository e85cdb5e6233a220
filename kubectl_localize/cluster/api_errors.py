"""What a failed API request means, read from the `Status` object that the API server sends with it.

Its fields: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubectl_localize.cluster.kubectl import MISCONFIGURED
from kubectl_localize.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubectlError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from kubectl_localize.json_text import parse_json

_BY_REASON: Mapping[str, type[KubectlError]] = {
    "Unauthorized": UnauthorizedError,
    "Forbidden": ForbiddenError,
    "NotFound": NotFoundError,
    "AlreadyExists": AlreadyExistsError,
    "Conflict": ConflictError,
    "Gone": GoneError,
    "Expired": GoneError,
    "Invalid": InvalidError,
    "BadRequest": BadRequestError,
    "ServiceUnavailable": UnreachableError,
}
_BY_CODE: Mapping[int, type[KubectlError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    502: UnreachableError,
    503: UnreachableError,
    504: UnreachableError,
}
_DENIED = re.compile(r"^admission webhook .* denied")
_CREDENTIALS = "getting credentials"


def error_of_response(code: int, content_type: str, body: bytes) -> KubectlError:
    """The error that a response with a code of 400 or more means.

    `kubectl proxy` itself answers with plain text and a code of 500 (502 in newer ones) if it does not get through to
    the API server, or the user's credential plugin fails.
    """
    if content_type.startswith("application/json"):
        try:
            document = parse_json(body)
        except ValueError:
            document = None
        if isinstance(document, dict):
            return error_of_status({"code": code, **document})
    text = body.decode(errors="replace").strip().partition("\n")[0]
    if _CREDENTIALS in text:
        return UnauthorizedError(text)
    if code in (500, 502) and MISCONFIGURED.search(text):
        return ConfigurationError(text)
    if code in (500, 502):
        return UnreachableError(text or f"the way to the API server is broken (HTTP {code})")
    return _BY_CODE.get(code, KubectlError)(text or f"the API server answers with HTTP {code}")


def error_of_status(status: Mapping[str, Any]) -> KubectlError:
    """The error that a `Status` object means."""
    reason, message, code = _text(status.get("reason")), _text(status.get("message")), status.get("code")
    message = message or reason or f"the API server answers with HTTP {code}"
    if reason == "Unauthorized" and message == reason:
        message = "the server has asked for the client to provide credentials"
    kind = _BY_REASON.get(reason)
    if _DENIED.match(message) and kind is not ForbiddenError:
        kind = InvalidError
    return (kind or _BY_CODE.get(code if isinstance(code, int) else 0, KubectlError))(message)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
