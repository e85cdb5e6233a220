"""How people write an object, `[NS/][KIND/]NAME`, as the `svc` or `ns/svc` that everything else works with; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.errors import UsageError

_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(_LABEL)
_GLOB = re.compile(r"[-a-z0-9*?\[\]!]+")
SERVICE = "Service"
# What kubectl takes for each kind, and what it prints for `-o name` (`deployment.apps/web`).
KINDS: Mapping[str, str] = {
    **dict.fromkeys(("svc", "service", "services"), SERVICE),
    **dict.fromkeys(("deploy", "deployment", "deployments", "deployment.apps"), "Deployment"),
    **dict.fromkeys(("sts", "statefulset", "statefulsets", "statefulset.apps"), "StatefulSet"),
    **dict.fromkeys(("rs", "replicaset", "replicasets", "replicaset.apps"), "ReplicaSet"),
    **dict.fromkeys(("ds", "daemonset", "daemonsets", "daemonset.apps"), "DaemonSet"),
    **dict.fromkeys(("rc", "replicationcontroller", "replicationcontrollers"), "ReplicationController"),
    **dict.fromkeys(("job", "jobs", "job.batch"), "Job"),
    **dict.fromkeys(("po", "pod", "pods"), "pod"),
    **dict.fromkeys(("ing", "ingress", "ingresses", "ingress.networking.k8s.io"), "Ingress"),
    **dict.fromkeys(("ep", "endpoints"), "Endpoints"),
}


@dataclass(frozen=True)
class ObjectName:
    """An object as it was written; `namespace` and `kind` are empty if they were left out."""

    namespace: str
    kind: str
    name: str


def parse_object(text: str) -> ObjectName:
    """Take `[NS/][KIND/]NAME` apart. A first part that is a kind is one.

    Raises:
        UsageError: it has too many parts, or an empty one.
    """
    parts = text.split("/")
    if len(parts) > 3 or not all(parts) or (len(parts) == 3 and parts[1] not in KINDS):
        raise _no_name(text)
    if len(parts) == 3:
        return ObjectName(parts[0], KINDS[parts[1]], parts[2])
    if len(parts) == 1:
        return ObjectName("", "", text)
    if parts[0] in KINDS:
        return ObjectName("", KINDS[parts[0]], parts[1])
    return ObjectName(parts[0], "", parts[1])


def service_pattern(text: str) -> str:
    """A Service's name or a glob as `svc` or `ns/svc`: `service/web` is `web`.

    Raises:
        UsageError: it is neither.
    """
    return _service(text, _GLOB)


def service_name(text: str) -> str:
    """A Service's name as `svc` or `ns/svc`, without globs.

    Raises:
        UsageError: it is not one.
    """
    return _service(text, _NAME)


def _service(text: str, allowed: re.Pattern[str]) -> str:
    written = parse_object(text)
    if written.kind not in ("", SERVICE):
        a = "an" if written.kind[0] in "AEIOU" else "a"
        hint = f"name the Service that leads to it, such as {written.name}; `kubectl get services` lists them"
        if written.kind == "pod":
            hint = f"name its Service; `kubectl port-forward {text}` reaches a single pod"
        raise UsageError(f"{text} is {a} {written.kind}, not a Service", hint)
    parts = [part for part in (written.namespace, written.name) if part]
    if not all(allowed.fullmatch(part) for part in parts):
        raise _no_name(text, glob=allowed is _GLOB)
    return "/".join(parts)


def check_words(words: Sequence[str]) -> None:
    """Check that a kind and a name are not two words, as after `kubectl get`.

    Raises:
        UsageError: they are.
    """
    if len(words) > 1 and KINDS.get(words[0]) == SERVICE:
        raise UsageError(f"{' '.join(words[:2])!r} are two names", f"write {words[0]}/{words[1]}, or only {words[1]}")


def _no_name(text: str, *, glob: bool = True) -> UsageError:
    """The error for what is no name, with what was probably meant."""
    host = re.fullmatch(rf"(?:[a-z]+://)?({_LABEL})\.({_LABEL})(?:\.[a-z0-9.-]*)?(?::\d+)?(?:/.*)?", text)
    port = re.fullmatch(rf"({_LABEL}(?:/{_LABEL})?):(\w[-\w]*)", text)
    hint = "write svc, ns/svc or a glob such as 'shop/*'" if glob else "write svc or ns/svc"
    if host:
        hint = f"write {host[2]}/{host[1]}"
    elif port:
        hint = f"write {port[1]}: all ports of a Service are there"
    elif text.endswith("/") and _NAME.fullmatch(text[:-1]):
        hint = f"for a whole namespace write -n {text[:-1]}" if glob else "write svc or ns/svc"
    elif text != text.lower() and set(text) <= set("-/*?[]!.") | {letter for letter in text if letter.isalnum()}:
        hint = f"names are in lower case: {text.lower()}"
    return UsageError(f"{text!r} is not the name of a Service", hint)
