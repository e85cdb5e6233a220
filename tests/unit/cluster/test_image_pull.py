"""Why an image cannot be pulled, in a few words, out of what runtimes really say."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_localize.cluster.exposing.image_pull import LONGEST_CAUSE, PullProblem, cause_of, pull_failure

IMAGE = "lscr.io/linuxserver/openssh-server:version-10.3_p1-r1"
HEAD = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
REQUEST = f'{HEAD}failed to do request: Head "https://lscr.io/v2/linuxserver/openssh-server/manifests/x": '
ABSENT, FORBIDDEN = PullProblem.ABSENT, PullProblem.FORBIDDEN
UNREACHABLE, LIMITED, OTHER = PullProblem.UNREACHABLE, PullProblem.LIMITED, PullProblem.OTHER
DENIED = "access is denied, or it does not exist"


@pytest.mark.parametrize(
    ("message", "cause", "problem"),
    [
        # containerd
        (f"{REQUEST}dial tcp 203.0.113.7:443: i/o timeout", "i/o timeout", UNREACHABLE),
        (f"{REQUEST}dial tcp: lookup lscr.io on 10.0.0.2:53: no such host", "no such host", UNREACHABLE),
        (f"{REQUEST}dial tcp 127.0.0.1:443: connect: connection refused", "connection refused", UNREACHABLE),
        (f"{REQUEST}net/http: TLS handshake timeout", "TLS handshake timeout", UNREACHABLE),
        (
            f"{REQUEST}tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "x509: certificate signed by unknown authority",
            UNREACHABLE,
        ),
        (f"{REQUEST}http: server gave HTTP response to HTTPS client", "the registry speaks HTTP only", UNREACHABLE),
        (
            f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = DeadlineExceeded desc = {HEAD}'
            "failed to copy: httpReadSeeker: failed open: failed to do request: context deadline exceeded",
            "no answer in time",
            UNREACHABLE,
        ),
        (f"rpc error: code = NotFound desc = {HEAD}{IMAGE}: not found", "not found", ABSENT),
        (
            f"{HEAD}pull access denied, repository does not exist or may require authorization: server message:"
            " insufficient_scope: authorization failed",
            DENIED,
            FORBIDDEN,
        ),
        (f"{HEAD}failed to authorize: failed to fetch oauth token: unexpected status: 401 Unauthorized", DENIED,
         FORBIDDEN),
        (f"{HEAD}unexpected status from HEAD request to https://x/v2/: 403 Forbidden", DENIED, FORBIDDEN),
        (f"{HEAD}unexpected status from HEAD request to https://x/v2/: 503 Service Unavailable",
         "503 Service Unavailable", UNREACHABLE),
        (
            f"{HEAD}failed to copy: httpReadSeeker: failed open: unexpected status code 429 Too Many Requests - Server"
            " message: toomanyrequests: You have reached your unauthenticated pull rate limit.",
            "the registry's rate limit is reached",
            LIMITED,
        ),
        (f"{HEAD}no match for platform in manifest: not found", "it is not built for the node's platform", ABSENT),
        ('failed to extract layer: write /var/lib/x: no space left on device"', "no space left on device", OTHER),
        # Docker
        (f"Error response from daemon: manifest for {IMAGE} not found: manifest unknown", "not found", ABSENT),
        ("Error response from daemon: denied: requested access to the resource is denied", DENIED, FORBIDDEN),
        ('Error response from daemon: Get "https://lscr.io/": proxyconnect tcp: lookup x: no such host',
         "no such host", UNREACHABLE),
        # CRI-O
        (f"initializing source docker://{IMAGE}: reading manifest x in lscr.io/x: unauthorized: access to the"
         " requested resource is not authorized", DENIED, FORBIDDEN),
        (f'initializing source docker://{IMAGE}: pinging registry lscr.io: Get "https://lscr.io/v2/": dial tcp'
         " 203.0.113.7:443: i/o timeout", "i/o timeout", UNREACHABLE),
        # kubelets that repeat no cause, names that are none, and what nobody has thought of
        (f'Back-off pulling image "{IMAGE}"', "", OTHER),
        ("", "", OTHER),
        ('Failed to apply default image tag "A:b:c": couldn\'t parse image name "A:b:c": invalid reference format',
         "this is no name of an image", ABSENT),
        ("rpc error: code = Unknown desc = the moon is full", "the moon is full", OTHER),
    ],
)  # fmt: skip
def test_the_cause(message: str, cause: str, problem: PullProblem) -> None:
    assert cause_of(message, IMAGE) == (cause, problem)


def test_an_image_whose_name_sounds_like_a_cause() -> None:
    image = "example.com/not-found/unauthorized:401"
    assert cause_of(f'failed to resolve reference "{image}": dial tcp: i/o timeout', image) == (
        "i/o timeout",
        UNREACHABLE,
    )


def test_a_cause_of_any_length_stays_a_line() -> None:
    assert len(cause_of("x509: " + "y" * 10_000)[0]) == LONGEST_CAUSE
    assert len(cause_of("desc = " + "y" * 10_000)[0]) == LONGEST_CAUSE


def waiting(reason: str, message: str, name: str = "sshd") -> dict[str, Any]:
    return {"name": name, "image": "", "state": {"waiting": {"reason": reason, "message": message}}}


POD = {"spec": {"containers": [{"name": "sshd", "image": IMAGE}, {"name": "failsafe", "image": "example.com/curl:1"}]}}


def test_the_image_comes_first_and_then_why() -> None:
    failure = pull_failure(POD, waiting("ErrImagePull", f"{REQUEST}dial tcp 203.0.113.7:443: i/o timeout"))
    assert failure is not None
    assert str(failure) == f"{IMAGE} cannot be pulled: i/o timeout"
    assert failure.hint.startswith("--image names an image in a registry that the nodes reach")
    bare = pull_failure(POD, waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'))
    assert str(bare) == f"{IMAGE} cannot be pulled"


def test_the_failsafe_may_wait_for_the_same_image_and_is_the_first_to_say_so() -> None:
    pod = {"spec": {"containers": [{"name": name, "image": IMAGE} for name in ("sshd", "failsafe")]}}
    failure = pull_failure(pod, waiting("ImagePullBackOff", "not found", "failsafe"))
    assert failure is not None
    assert failure.hint == "--image names another image with sshd"


def test_the_failsafes_image_has_a_flag_of_its_own() -> None:
    failure = pull_failure(POD, waiting("ImagePullBackOff", "not found", "failsafe"))
    assert failure is not None
    assert (str(failure), failure.hint) == (
        "example.com/curl:1 cannot be pulled: not found", "--failsafe-image names another image with curl"
    )  # fmt: skip


@pytest.mark.parametrize("reason", ["ContainerCreating", "CrashLoopBackOff", "CreateContainerConfigError", ""])
def test_other_waits_are_none_of_its_business(reason: str) -> None:
    assert pull_failure(POD, waiting(reason, "")) is None
