"""What the status of an exposure pod says: whether it runs, is lost, or what keeps it from starting; pure."""

from __future__ import annotations

from typing import Any

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.values import SSHD_CONTAINER
from kubectl_localize.errors import KubectlError, LocalizeError

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


def is_running(found: Json) -> bool:
    """Whether its sshd runs."""
    statuses = (found.get("status") or {}).get("containerStatuses") or ()
    return any(one["name"] == SSHD_CONTAINER and "running" in (one.get("state") or {}) for one in statuses)


def is_lost(found: Json | None) -> bool:
    """Whether a pod is gone, going, or has ended: another one has to take its place."""
    if found is None or found["metadata"].get("deletionTimestamp"):
        return True
    return (found.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def trouble(found: Json) -> tuple[str, bool]:
    """Why a pod does not start, in words, and whether waiting longer does not help; empty where nothing is known."""
    status = found.get("status") or {}
    for one in status.get("containerStatuses") or ():
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            return f"{one['name']}: {waiting['reason']}: {waiting.get('message') or ''}".rstrip(": "), (
                waiting["reason"] in HOPELESS
            )
        ended = (one.get("lastState") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return (
                f"{one['name']} ended with exit code {ended['exitCode']} {ended.get('message') or ''}".rstrip(),
                False,
            )
    if problem := failsafe.problem(found):
        return f"{FAILSAFE_TROUBLE} the workload: {problem}", True
    for one in status.get("conditions") or ():
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return one.get("message") or one.get("reason") or "it is not scheduled", False
    if status.get("phase") == "Failed":
        return f"{status.get('reason') or 'it has failed'}: {status.get('message') or ''}".rstrip(": "), True
    return "", False


def refused(error: KubectlError, namespace: str) -> LocalizeError:
    """What the API server objects to in Secret or pod."""
    return LocalizeError(
        f"namespace {namespace} does not take an exposure pod: {error.message}",
        "quota, Pod Security and admission plugins decide that; --image and --image-pull-secret may help",
    )


def not_in_time(pod: str, namespace: str, what: str, *, why: str, problem: str) -> LocalizeError:
    """The error that says what did not come about.

    Args:
        what: what the pod was to be: `pod NAME was not WHAT in time`.
        why: what is said instead, where it is not the pod that is waited for.
        problem: what is known of the pod's trouble; empty where nothing is.
    """
    if why or "Image" in problem:
        hint = "--image and --image-pull-secret name another image" if "Image" in problem else ""
    elif problem.startswith(FAILSAFE_TROUBLE):
        hint = "--failsafe off goes without it, --failsafe-service-account names one that may"
    else:
        hint = f"`kubectl get events -n {namespace} --field-selector involvedObject.name={pod}` may say more"
    said = why or f"exposure pod {pod} was not {what} in time" + (f": {problem}" if problem else "")
    return LocalizeError(f"{said}; everything is put back", hint)
