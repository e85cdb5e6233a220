"""A container's environment, resolved as the kubelet does it, for a local command that replaces the container."""

from __future__ import annotations

import asyncio
import base64
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from kubectl_localize.cluster.api import Api, Json
from kubectl_localize.cluster.exposing.values import CarriedPort

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_KINDS = {"configmaps": "ConfigMap", "secrets": "Secret"}
_REFERENCES = {
    "configMapRef": "configmaps",
    "configMapKeyRef": "configmaps",
    "secretRef": "secrets",
    "secretKeyRef": "secrets",
}
_FIELDS = {
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs",
}  # fmt: skip
_SERVICE_VARIABLE = re.compile(r"[A-Z0-9_]+_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
_SUFFIXES = {
    "": Fraction(1),
    **{unit: Fraction(1, 1000**power) for power, unit in enumerate("mun", 1)},
    **{unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", 1)},
}

Reference = tuple[str, str]  # plural and name of a ConfigMap or Secret
Objects = Mapping[Reference, Mapping[str, str] | None]  # their data as text; None: there is none of that name


@dataclass(frozen=True)
class Environment:
    """What a container's process finds in its environment.

    Args:
        variables: name and value, each name once; not in the repr, for Secrets are among them.
        unresolved: what is missing there, each with its reason: `POD_IP: the pod has no status.podIP`.
    """

    variables: tuple[tuple[str, str], ...] = field(repr=False)
    unresolved: tuple[str, ...] = ()


class _UnresolvedError(Exception):
    """A variable has no value here; its text says why."""


def pick_container(pod: Json, ports: Sequence[CarriedPort]) -> Json:
    """The container that a command stands in for.

    The one with the first carried port that was asked for, else the one that the pod's annotation names for kubectl
    (https://kubernetes.io/docs/reference/labels-annotations-taints/#kubectl-kubernetes-io-default-container), else the
    first.
    """
    containers: list[Json] = pod["spec"]["containers"]
    for port in ports:
        for container in containers:
            if port.asked and any(_is_port(entry, port) for entry in container.get("ports") or ()):
                return container
    default = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    return next((container for container in containers if container["name"] == default), containers[0])


async def container_environment(api: Api, namespace: str, pod: Json, container: Json) -> Environment:
    """The environment of one of the pod's containers; each ConfigMap and Secret is read once, all at the same time.

    All of it: `environment_policy` says what of it is good for a process on another machine.

    It lacks the Services' variables (`WEB_SERVICE_HOST`), since names resolve as in the cluster, and what the image
    sets, which is not known here.

    Raises:
        KubectlError: a ConfigMap or Secret cannot be read. If it does not exist, that is no error.
    """
    sources = [
        *(container.get("envFrom") or ()),
        *(entry.get("valueFrom") or {} for entry in container.get("env") or ()),
    ]
    wanted = sorted({reference[0] for source in sources if (reference := _reference(source))})
    data = await asyncio.gather(*(_data(api, namespace, reference) for reference in wanted))
    return resolve(pod, container, dict(zip(wanted, data, strict=True)))


def resolve(pod: Json, container: Json, objects: Objects) -> Environment:
    """What `container_environment` answers once the ConfigMaps and Secrets are there.

    `envFrom` comes first, later sources over earlier ones, then `env` in its order. Keys are names as they are: since
    1.32 the kubelet takes whatever a key may be; older ones leave out those that begin with a digit.

    Source: makeEnvironmentVariables in
    https://github.com/kubernetes/kubernetes/blob/release-1.35/pkg/kubelet/kubelet_pods.go.
    """
    variables: dict[str, str] = {}
    unresolved: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        if (named := _reference(source)) is None:
            continue
        reference, selector = named
        data = objects[reference]
        if data is None and not selector.get("optional"):
            unresolved["envFrom"] = f"there is no {_describe(reference)}"
        variables |= {(source.get("prefix") or "") + key: value for key, value in (data or {}).items()}
    for entry in container.get("env") or ():
        name = entry["name"]
        try:
            value = _value(entry, pod, container, objects, _lookup(variables, unresolved))
        except _UnresolvedError as why:
            unresolved[name] = str(why)
            variables.pop(name, None)
            continue
        if value is not None:
            variables[name] = value
            unresolved.pop(name, None)
    for name in sorted(variables):
        if "\0" in variables[name]:
            unresolved[name] = "its value is binary, and an environment variable cannot hold that"
        elif not name or "=" in name or "\0" in name:
            unresolved[name] = "no process can have a variable of that name"
    kept = tuple((name, value) for name, value in variables.items() if name not in unresolved)
    return Environment(kept, tuple(f"{name}: {why}" for name, why in unresolved.items()))


def expand(text: str, value_of: Callable[[str], str | None]) -> str:
    """Replace each `$(NAME)` by its value; a name without a value stays as it is, and `$$` becomes a plain `$`.

    Source: https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
    """

    def replacement(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        value = value_of(match[1])
        return match[0] if value is None else value

    return re.sub(r"\$\$|\$\(([^)]*)\)", replacement, text)


def _lookup(variables: Mapping[str, str], unresolved: Mapping[str, str]) -> Callable[[str], str | None]:
    """Look values up for `expand`; a name that has a value only in the cluster is an error."""

    def value_of(name: str) -> str | None:
        value = variables.get(name)
        if value is None and (name in unresolved or _SERVICE_VARIABLE.fullmatch(name)):
            raise _UnresolvedError(f"$({name}) has no value here")
        return value

    return value_of


def _value(
    entry: Json, pod: Json, container: Json, objects: Objects, value_of: Callable[[str], str | None]
) -> str | None:
    """The value of one entry of `env`; None if it is optional and not there."""
    source = entry.get("valueFrom")
    if entry.get("value") or not source:
        return expand(entry.get("value") or "", value_of)
    if named := _reference(source):
        reference, selector = named
        value = (objects[reference] or {}).get(selector["key"])
        if value is None and not selector.get("optional"):
            raise _UnresolvedError(f"there is no {_describe(reference)} with a key {selector['key']}")
        return value
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return _resource(pod, container, source["resourceFieldRef"])
    raise _UnresolvedError(f"{next(iter(source))} cannot be resolved here")


def _field(pod: Json, path: str) -> str:
    """A field of the pod (https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#downwardapi-fieldRef)."""
    if match := re.fullmatch(r"metadata\.(labels|annotations)\['(.*)'\]", path):
        text: str = (pod["metadata"].get(match[1]) or {}).get(match[2], "")
        return text
    part, _, name = path.partition(".")
    value = (pod.get(part) or {}).get(name) if path in _FIELDS else None
    if not value:
        raise _UnresolvedError(f"the pod has no {path}")
    return ",".join(address["ip"] for address in value) if isinstance(value, list) else str(value)


def _resource(pod: Json, container: Json, reference: Json) -> str:
    """A container's limit or request, in units of the divisor, rounded up.

    Source: https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#downwardapi-resourceFieldRef
    """
    kind, _, resource = reference["resource"].partition(".")
    name = reference.get("containerName") or container["name"]
    others = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    owner = next((other for other in others if other["name"] == name), container)
    resources = owner.get("resources") or {}
    amount = (resources.get("limits") or {}).get(resource)
    if kind == "requests":
        amount = (resources.get("requests") or {}).get(resource, amount or "0")
    if amount is None:
        raise _UnresolvedError(f"container {name} has no limit for {resource}, so its node's capacity would count")
    return str(math.ceil(quantity(amount) / (quantity(reference.get("divisor") or "1") or 1)))


def quantity(text: str) -> Fraction:
    """An amount as Kubernetes writes it: `250m`, `64Mi`, `1.5`, `1e3`.

    Source: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"(.*?)([KMGTPE]i|[numkMGTPE])?", text)
    if match is None:
        raise ValueError(f"no quantity: {text!r}")
    return Fraction(match[1]) * _SUFFIXES[match[2] or ""]


def _is_port(entry: Json, port: CarriedPort) -> bool:
    return (entry.get("protocol") or "TCP") == "TCP" and (
        entry["containerPort"] == port.number or entry.get("name") in port.names
    )


def _reference(source: Json) -> tuple[Reference, Json] | None:
    """The ConfigMap or Secret that an `envFrom` entry or a `valueFrom` names, and what it says of it; None: neither."""
    for key, plural in _REFERENCES.items():
        if selector := source.get(key):
            return (plural, selector.get("name") or ""), selector
    return None


def _describe(reference: Reference) -> str:
    return f"{_KINDS[reference[0]]} {reference[1]}"


async def _data(api: Api, namespace: str, reference: Reference) -> Mapping[str, str] | None:
    plural, name = reference
    item = await api.find(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
    if item is None:
        return None
    data: dict[str, str] = item.get("data") or {}
    if plural == "configmaps":
        return data
    return {key: base64.b64decode(value).decode(errors="surrogateescape") for key, value in data.items()}
