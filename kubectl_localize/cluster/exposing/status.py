"""What an exposure pod's status means: it runs, it is lost, or something keeps it from starting; pure."""

from __future__ import annotations

from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.values import SSHD_CONTAINER
from kubectl_localize.errors import LocalizeError

Json = dict[str, Any]

FAILSAFE_TROUBLE = "the failsafe cannot scale"
# A pod that shows one of these does not start by waiting longer.
HOPELESS = (
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


def is_running(pod: Json) -> bool:
    """Whether its sshd runs."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return any(status["name"] == SSHD_CONTAINER and "running" in (status.get("state") or {}) for status in statuses)


def is_lost(pod: Json | None) -> bool:
    """Whether a pod is gone, going, or has ended: another one has to take its place."""
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return True
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def trouble(pod: Json) -> tuple[str, bool]:
    """Say why a pod does not start, and whether waiting longer does not help; empty if nothing is known."""
    status = pod.get("status") or {}
    for entry in status.get("containerStatuses") or ():
        waiting = (entry.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            return f"{entry['name']}: {waiting['reason']}: {waiting.get('message') or ''}".rstrip(": "), (
                waiting["reason"] in HOPELESS
            )
        ended = (entry.get("lastState") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return (
                f"{entry['name']} ended with exit code {ended['exitCode']} {ended.get('message') or ''}".rstrip(),
                False,
            )
    if problem := failsafe.problem(pod):
        return f"{FAILSAFE_TROUBLE} the workload: {problem}", True
    for entry in status.get("conditions") or ():
        if entry["type"] == "PodScheduled" and entry["status"] == "False":
            return entry.get("message") or entry.get("reason") or "it is not scheduled", False
    if status.get("phase") == "Failed":
        return f"{status.get('reason') or 'it has failed'}: {status.get('message') or ''}".rstrip(": "), True
    return "", False


def not_in_time(pod: str, namespace: str, what: str, *, problem: str) -> LocalizeError:
    """The error that says what did not come about.

    Args:
        what: what the pod was to be: `pod NAME was not WHAT in time`.
        problem: what is known of the pod's trouble; empty if nothing is.
    """
    if "Image" in problem:
        hint = "--image and --image-pull-secret name another image"
    elif problem.startswith(FAILSAFE_TROUBLE):
        hint = "--failsafe off goes without it, --failsafe-service-account names one that may"
    else:
        hint = f"`kubectl get events -n {namespace} --field-selector involvedObject.name={pod}` may say more"
    said = f"exposure pod {pod} was not {what} in time" + (f": {problem}" if problem else "")
    return LocalizeError(said, hint)
