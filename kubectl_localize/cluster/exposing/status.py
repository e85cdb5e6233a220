"""What an exposure pod's status means: it runs, it is lost, or something keeps it from starting; pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from kubectl_localize.cluster.exposing import failsafe
from kubectl_localize.cluster.exposing.blockers import KEEP
from kubectl_localize.cluster.exposing.image_pull import pull_failure
from kubectl_localize.cluster.exposing.values import SSHD_CONTAINER
from kubectl_localize.errors import LocalizeError

Json = dict[str, Any]

ANTI_AFFINITY = "anti-affinity rules"  # in the scheduler's words: the replaced pods do not want the pod beside them
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


class Trouble(NamedTuple):
    """Why a pod does not start.

    Args:
        text: a sentence; empty if nothing is known.
        hopeless: whether waiting longer does not help.
        hint: what does; empty for the usual.
    """

    text: str
    hopeless: bool
    hint: str = ""

    def with_what_was_known(self, before: Trouble) -> Trouble:
        """This, or what was known before if that says more: old kubelets tell why a pull has failed only at first."""
        if self.text and before.text.startswith(self.text):
            return Trouble(before.text, self.hopeless, before.hint)
        return self


def trouble(pod: Json) -> Trouble:
    """Say why a pod does not start."""
    status = pod.get("status") or {}
    for entry in status.get("containerStatuses") or ():
        waiting = (entry.get("state") or {}).get("waiting") or {}
        if (failure := pull_failure(pod, entry)) is not None:
            return Trouble(str(failure), waiting["reason"] in HOPELESS, failure.hint)
        if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            text = f"{entry['name']}: {waiting['reason']}: {waiting.get('message') or ''}".rstrip(": ")
            return Trouble(text, waiting["reason"] in HOPELESS)
        ended = (entry.get("lastState") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            text = f"{entry['name']} ended with exit code {ended['exitCode']} {ended.get('message') or ''}".rstrip()
            return Trouble(text, False)
    if problem := failsafe.problem(pod):
        hint = "--failsafe off goes without it, --failsafe-service-account names one that may"
        return Trouble(f"the failsafe could not bring back what it guards: {problem}", True, hint)
    for entry in status.get("conditions") or ():
        if entry["type"] == "PodScheduled" and entry["status"] == "False":
            return _unscheduled(entry.get("message") or entry.get("reason") or "it is not scheduled")
    if status.get("phase") == "Failed":
        text = f"{status.get('reason') or 'it has failed'}: {status.get('message') or ''}".rstrip(": ")
        return Trouble(text, True)
    return Trouble("", False)


def _unscheduled(why: str) -> Trouble:
    """What the scheduler says, and what helps against it."""
    text = f"no node takes the exposure pod: {why}"
    if ANTI_AFFINITY in why:
        return Trouble(text, True, f"the workload's pods share a node with none that has their labels: {KEEP}")
    if "Insufficient" in why:
        return Trouble(text, False, "--requests asks for less; `kubectl describe nodes` shows what is left")
    return Trouble(text, False)


def not_in_time(pod: str, namespace: str, what: str, *, problem: Trouble) -> LocalizeError:
    """The error that says what did not come about.

    Args:
        what: what the pod was to be: `pod NAME was not WHAT in time`.
        problem: what is known of the pod's trouble.
    """
    hint = problem.hint or (
        f"`kubectl get events -n {namespace} --field-selector involvedObject.name={pod}` may say more"
    )
    if problem.hint:  # then it is known well enough to be said by itself
        return LocalizeError(problem.text, hint)
    return LocalizeError(
        f"exposure pod {pod} was not {what} in time" + (f": {problem.text}" if problem.text else ""), hint
    )
