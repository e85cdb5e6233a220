"""Why a node cannot pull an image, in a few words, and what helps; pure.

What runtimes say goes through several hands and grows in front, so the cause stands at the end or somewhere inside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kubectl_localize.cluster.exposing.values import FAILSAFE_CONTAINER, SSHD_CONTAINER

Json = dict[str, Any]

PULL_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError",
     "RegistryUnavailable", "SignatureValidationFailed"}
)  # fmt: skip
LONGEST_CAUSE = 160


class PullProblem(Enum):
    """What kind of help is needed."""

    ABSENT = "absent"
    FORBIDDEN = "forbidden"
    UNREACHABLE = "unreachable"
    LIMITED = "limited"
    OTHER = "other"


# The first that matches says it; \g<0> stands for what has matched. What a registry answers comes before the network.
_CAUSES: tuple[tuple[str, str, PullProblem], ...] = (
    (
        r"toomanyrequests|429 Too Many Requests|pull rate limit",
        "the registry's rate limit is reached",
        PullProblem.LIMITED,
    ),
    (
        r"no match for platform in manifest|no matching manifest for \S+|exec format error",
        "it is not built for the node's platform",
        PullProblem.ABSENT,
    ),
    (
        r"pull access denied|insufficient_scope|authorization failed|authentication required|unauthorized|\b401\b"
        r"|\b403\b|access forbidden|no basic auth credentials|requested access to the resource is denied|denied: ",
        "access is denied, or it does not exist",
        PullProblem.FORBIDDEN,
    ),
    (r"manifest unknown|name unknown|repository .* not found|not found\b", "not found", PullProblem.ABSENT),
    (r"couldn't parse image|invalid reference format", "this is no name of an image", PullProblem.ABSENT),
    (r"x509: .*", r"\g<0>", PullProblem.UNREACHABLE),
    (r"server gave HTTP response to HTTPS client", "the registry speaks HTTP only", PullProblem.UNREACHABLE),
    (r"no such host|server misbehaving|Temporary failure in name resolution", r"\g<0>", PullProblem.UNREACHABLE),
    (r"i/o timeout|TLS handshake timeout", r"\g<0>", PullProblem.UNREACHABLE),
    (r"Client\.Timeout|context deadline exceeded|DeadlineExceeded", "no answer in time", PullProblem.UNREACHABLE),
    (r"connection refused|connection reset by peer|network is unreachable|no route to host|proxyconnect \S+|\bEOF\b",
     r"\g<0>", PullProblem.UNREACHABLE),
    (r"50[0234] [A-Z][\w ]+", r"\g<0>", PullProblem.UNREACHABLE),
    (r"no space left on device", r"\g<0>", PullProblem.OTHER),
)  # fmt: skip

_HELP: Mapping[PullProblem, str] = {
    PullProblem.ABSENT: "{flag} names another image with sshd",
    PullProblem.FORBIDDEN: "--image-pull-secret names a Secret with credentials for it; {flag} names another image",
    PullProblem.UNREACHABLE: "{flag} names an image in a registry that the nodes reach; any with sh and sshd will do",
    PullProblem.LIMITED: "--image-pull-secret names a Secret with credentials, which have a limit of their own; {flag}"
    " names an image in another registry",
    PullProblem.OTHER: "{flag} and --image-pull-secret name another image",
}


@dataclass(frozen=True)
class PullFailure:
    """An image that a container of a pod waits for in vain.

    Args:
        image: its name as the pod has it.
        cause: why, in a few words; empty if the node does not say.
        hint: what helps.
    """

    image: str
    cause: str
    hint: str

    def __str__(self) -> str:
        return f"{self.image} cannot be pulled" + (f": {self.cause}" if self.cause else "")


def pull_failure(pod: Json, status: Json) -> PullFailure | None:
    """The failure that a container's status shows; None if it does not wait for its image.

    Args:
        status: one of the pod's `containerStatuses`.
    """
    waiting = (status.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") not in PULL_REASONS:
        return None
    containers = (pod.get("spec") or {}).get("containers") or ()
    images = {container["name"]: container.get("image") or "" for container in containers}
    image = images.get(status["name"]) or status.get("image") or "the image"
    cause, problem = cause_of(waiting.get("message") or "", image)
    has_its_own = status["name"] == FAILSAFE_CONTAINER and image != images.get(SSHD_CONTAINER)
    hint = _HELP[problem].format(flag="--failsafe-image" if has_its_own else "--image")
    return PullFailure(image, cause, hint.replace("sshd", "curl") if has_its_own else hint)


def cause_of(message: str, image: str = "") -> tuple[str, PullProblem]:
    """A runtime's message in a few words, and what kind of help it asks for.

    Args:
        image: its name, which stands in the message, too, and says nothing of the cause.
    """
    text = message.replace(image, "") if image else message
    for pattern, words, problem in _CAUSES:
        if match := re.search(pattern, text):
            return match.expand(words)[:LONGEST_CAUSE].rstrip('"'), problem
    last = text.rstrip().rstrip('"').rpartition(": ")[2].rpartition(" desc = ")[2].strip()
    is_known = last and not last.startswith("Back-off pulling image")  # which is all that old kubelets repeat
    return (last[:LONGEST_CAUSE] if is_known else ""), PullProblem.OTHER
