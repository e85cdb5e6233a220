"""What failed requests mean, by what API servers (1.35) and `kubectl proxy` (1.27 to 1.33) have sent."""

from __future__ import annotations

import json

import pytest

from kubectl_localize.cluster.api_errors import error_of_response, error_of_status
from kubectl_localize.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubectlError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)

JSON, TEXT = "application/json", "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("code", "reason", "message", "kind"),
    [
        (401, "Unauthorized", "Unauthorized", UnauthorizedError),
        (403, "Forbidden", 'services is forbidden: User "bob" cannot list', ForbiddenError),
        (403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"', ForbiddenError),
        (404, "NotFound", 'pods "x" not found', NotFoundError),
        (409, "AlreadyExists", 'leases.coordination.k8s.io "a" already exists', AlreadyExistsError),
        (409, "Conflict", "the object has been modified", ConflictError),
        (410, "Expired", "The provided continue parameter is too old", GoneError),
        (410, "Gone", "too old resource version", GoneError),
        (422, "Invalid", 'Lease "" is invalid: metadata.name: Required value', InvalidError),
        (400, "BadRequest", "unable to parse requirement", BadRequestError),
        (400, "", 'admission webhook "x.example.com" denied the request: no', InvalidError),
        (403, "Forbidden", 'admission webhook "x.example.com" denied the request: no', ForbiddenError),
        (503, "ServiceUnavailable", "the server is currently unable to handle the request", UnreachableError),
        (500, "InternalError", "Internal error occurred: failed calling webhook", KubectlError),
        (500, "", "etcdserver: leader changed", KubectlError),
        (429, "TooManyRequests", "try again later", KubectlError),
        (504, "Timeout", "request did not complete within the allotted timeout", UnreachableError),
    ],
)
def test_a_status_names_the_reason(code: int, reason: str, message: str, kind: type[KubectlError]) -> None:
    status = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    error = error_of_response(code, JSON, json.dumps(status).encode())
    assert type(error) is kind
    assert error.message == message or reason == "Unauthorized"
    assert type(error_of_status(status)) is kind


@pytest.mark.parametrize(
    ("code", "content_type", "text", "kind"),
    [
        (500, TEXT, "dial tcp 127.0.0.1:1: connect: connection refused\n", UnreachableError),
        (502, TEXT, "dial tcp: lookup nowhere.invalid: no such host", UnreachableError),
        (502, TEXT, "", UnreachableError),
        (500, TEXT, "getting credentials: exec: executable login failed with exit code 1\n", UnauthorizedError),
        (404, TEXT, "404 page not found\n", NotFoundError),
        (403, TEXT, "Forbidden", ForbiddenError),
        (503, "text/html", "<html>no backend</html>", UnreachableError),
        (418, TEXT, "", KubectlError),
        (400, JSON, "no JSON", BadRequestError),
        (403, JSON, "[]", ForbiddenError),
    ],
)
def test_a_proxy_answers_in_plain_text(code: int, content_type: str, text: str, kind: type[KubectlError]) -> None:
    error = error_of_response(code, content_type, text.encode())
    assert type(error) is kind
    assert error.message == text.strip() or not text.strip()
    assert error.message
