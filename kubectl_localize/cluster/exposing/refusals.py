"""What the API server's admission objects to in an exposure's objects, and what helps against it; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubectl_localize.errors import ForbiddenError, InvalidError, KubectlError

# Kubernetes' own admission plugins, each in its words (plugin/pkg/admission in its source).
_QUOTA = re.compile(r"exceeded quota: (?P<name>[^,\s]+), requested: (?P<requested>.*?), used: ")
_INCOMPLETE_QUOTA = re.compile(r"failed quota: (?P<name>[^:\s]+): must specify (?P<resources>[^\s:]+)")
_LIMIT_RANGE = re.compile(
    r"(maximum|minimum) [\w.-]+ usage per|max limit to request ratio per|must be (less|more) than"
)
_ACCOUNT = re.compile(r"error looking up service account [^\s/]+/(?P<name>[^\s:]+):")
_WEBHOOK_DOWN = re.compile(r"failed calling webhook \"(?P<name>[^\"]+)\"")
_DENIAL = re.compile(r"^.*? denied (the )?request: ", re.DOTALL)  # before a policy's own words
_COMPUTE = re.compile(r"\b((requests|limits)\.(cpu|memory|ephemeral-storage)|cpu|memory)=")

# What a policy's message speaks of, and the flags that change that in the pod.
_SUBJECTS: Mapping[str, re.Pattern[str]] = {
    "--image and --failsafe-image": re.compile(r"image|registry|registries|signature|\btag\b", re.IGNORECASE),
    "--labels": re.compile(r"label", re.IGNORECASE),
    "--annotations": re.compile(r"annotation", re.IGNORECASE),
    "--requests and --limits": re.compile(r"\b(requests?|limits?|resources?|cpu|memory)\b", re.IGNORECASE),
}
_OF_ALL_OBJECTS = ("--labels", "--annotations")
FAILSAFE_KINDS = ("ServiceAccount", "Role", "RoleBinding")


def is_refusal(error: KubectlError) -> bool:
    """Whether the API server does not take an object, and would not take it a moment later either."""
    return isinstance(error, (InvalidError, ForbiddenError)) or _WEBHOOK_DOWN.search(error.message) is not None


def refused(error: KubectlError, namespace: str, kind: str = "Pod") -> KubectlError:
    """The same error, which now says what it means for the exposure, and what helps.

    Args:
        kind: of the object that it does not take.
    """
    return type(error)(
        f"namespace {namespace} does not take an exposure pod: {error.message}", _hint(error.message, namespace, kind)
    )


def _hint(message: str, namespace: str, kind: str) -> str:
    if quota := _QUOTA.search(message):
        look = f"`kubectl describe quota -n {namespace} {quota['name']}` shows what is used"
        if kind == "Pod" and _COMPUTE.search(quota["requested"]):
            return f"--requests and --limits ask for less; {look}"
        return f"delete something that counts there, or have the quota raised; {look}"
    if quota := _INCOMPLETE_QUOTA.search(message):
        part, _, resource = quota["resources"].partition(",")[0].rpartition(".")
        return f"--{part or 'requests'} {resource}=… says it; quota {quota['name']} wants it of every container"
    if _LIMIT_RANGE.search(message):
        look = f"`kubectl describe limitrange -n {namespace}` shows what admission allows"
        return f"--requests and --limits change them; {look}"
    if account := _ACCOUNT.search(message):
        return f"there is no ServiceAccount {account['name']}; see `kubectl get serviceaccounts -n {namespace}`"
    if webhook := _WEBHOOK_DOWN.search(message):
        return f"admission webhook {webhook['name']} does not answer: try again, or tell whoever runs it"
    if "is being terminated" in message:
        return "the namespace is being deleted"
    if "security context constraint" in message:
        return "an admin has to let you use a constraint such as restricted-v2"
    return _flags(message, kind)


def _flags(message: str, kind: str) -> str:
    """The flags that change what a policy's message speaks of."""
    policy = _DENIAL.sub("", message)
    named = [flags for flags, subject in _SUBJECTS.items() if subject.search(policy)]
    helping = [flags for flags in named if kind == "Pod" or flags in _OF_ALL_OBJECTS]
    if helping:
        return f"{', '.join(helping)} change that"
    if kind in FAILSAFE_KINDS:
        return "--failsafe-service-account names one that an admin made, --failsafe off goes without"
    if kind == "Pod":
        return f"an admission policy wants it otherwise; {', '.join(_SUBJECTS)} change the pod"
    return f"an admission policy refuses it, so ask whoever made that; its labels and annotations: {_either()}"


def _either() -> str:
    return " and ".join(_OF_ALL_OBJECTS)
