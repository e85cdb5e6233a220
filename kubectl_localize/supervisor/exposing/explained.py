"""What went wrong with an exposure pod, in a sentence and a hint; pure."""

from __future__ import annotations

from kubectl_localize.cluster.exposing.status import FAILSAFE_TROUBLE
from kubectl_localize.errors import KubectlError, LocalizeError


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
