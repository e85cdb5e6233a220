"""Which ports an exposure carries, and where each leads to; pure decisions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.cluster import objects
from kubectl_localize.cluster.api import Json
from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import PortMap, ServiceKey, ServicePort

SSHD_PORT = 2222
LAST_PORT = 65535
LOCALHOST = "127.0.0.1"

_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SERVICE = re.compile(rf"({_NAME}/)?{_NAME}")
_PORT = re.compile(_NAME)
_HOST = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class _Lead:
    """A TCP port of a Service and the number in the pod to which it leads."""

    key: ServiceKey
    port: ServicePort
    number: int
    asked: bool

    def __str__(self) -> str:
        return f"{self.port.port} ({self.port.name})" if self.port.name else str(self.port.port)


# -- --map ------------------------------------------------------------------------------------------------------------
def parse_map(text: str) -> PortMap:
    """Read one `--map [SERVICE=][HOST:]LOCAL[:PORT]`, an IPv6 host in brackets.

    The local port is the first part that is all digits, so `3000:80` has no host and `localhost:3000` no PORT.

    Raises:
        ValueError: it is no port map; the message is a sentence.
    """
    service, equals, rest = text.rpartition("=")
    if not rest:
        raise ValueError(f"{text!r} has no local port" if text else "it is empty")
    if equals and not _SERVICE.fullmatch(service):
        raise ValueError(f"{service!r} is not a Service's name, as svc or ns/svc")
    bracketed = re.fullmatch(r"\[([^]]*)\]:(.*)", rest)
    if bracketed:
        host, parts = _ipv6(bracketed[1]), bracketed[2].split(":")
    else:
        host, parts = "", rest.split(":")
        if not _is_digits(parts[0]):
            host = parts.pop(0)
            if not _HOST.fullmatch(host):
                raise ValueError(f"{host!r} is not a host; an IPv6 address goes in brackets")
    if not parts or not _is_digits(parts[0]):
        raise ValueError(f"{text!r} has no local port")
    if len(parts) > 2:
        raise ValueError(f"{text!r} has too many parts; an IPv6 address goes in brackets")
    port = parts[1] if len(parts) == 2 else ""
    if len(parts) == 2 and not _PORT.fullmatch(port):
        raise ValueError(f"{port!r} is neither a port's name nor its number")
    if _is_digits(port):
        port = str(_number(port))
    return PortMap(service, host, _number(parts[0]), port)


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv6 address") from None


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _number(text: str) -> int:
    if len(text) > 5 or not 1 <= int(text) <= LAST_PORT:
        raise ValueError(f"{text} is not a port: they go from 1 to {LAST_PORT}")
    return int(text)


# -- what is carried --------------------------------------------------------------------------------------------------
def carried(
    services: Sequence[Json], others: Sequence[Json], template: Json, maps: Sequence[PortMap]
) -> tuple[tuple[CarriedPort, ...], tuple[str, ...]]:
    """All TCP ports of some Services, as the ports of the pod to which they lead.

    Each goes to the same number on 127.0.0.1, or else on ::1, if no map says otherwise.

    Args:
        services: the Services (JSON) that were asked for.
        others: other Services on the same pods, which must not lose their endpoint.
        template: the pod template that is replaced; its container ports say what the named target ports mean.
        maps: the `--map`s; one that names no Service means the only one that was asked for.

    Returns:
        The ports by number, and what is not carried: `53/UDP of dns`.

    Raises:
        LocalizeError: a Service has no TCP port, the pods do not name a target port, a map matches no port or several,
            or maps contradict each other.
    """
    numbers = _named_ports(template)
    leads: list[_Lead] = []
    skipped: list[str] = []
    asked_first = [*((service, True) for service in services), *((service, False) for service in others)]
    for service, asked in asked_first:
        service_leads, service_skipped = _leads(service, numbers, asked=asked)
        leads += service_leads
        skipped += service_skipped
    local = _local([lead for lead in leads if lead.asked], maps)
    ports = []
    for number in sorted({lead.number for lead in leads}):
        here = [lead for lead in leads if lead.number == number]
        host, local_port = local.get(number, ("", number))
        names = tuple(sorted(name for name, known in numbers.items() if known == number))
        keys = tuple((lead.key, lead.port.port) for lead in here)
        asked = any(lead.asked for lead in here)
        either = host in ("", "localhost")
        ports.append(CarriedPort(number, names, LOCALHOST if either else host, local_port, keys, asked, either))
    return tuple(ports), tuple(skipped)


def _named_ports(template: Json) -> dict[str, int]:
    """The TCP container ports that have a name, those of sidecars (init containers that go on running) included.

    A name that several containers use means the first one's, as it does for a Service.
    """
    spec = template["spec"]
    init_containers = spec.get("initContainers") or ()
    sidecars = [container for container in init_containers if container.get("restartPolicy") == "Always"]
    numbers: dict[str, int] = {}
    for container in [*spec["containers"], *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") and (port.get("protocol") or "TCP") == "TCP":
                numbers.setdefault(port["name"], port["containerPort"])
    return numbers


def _leads(item: Json, numbers: Mapping[str, int], *, asked: bool) -> tuple[list[_Lead], list[str]]:
    """The TCP ports of a Service, and a description of each other one."""
    service = objects.service(item)
    leads, skipped = [], []
    for port in service.ports:
        number = numbers.get(port.target_port) if isinstance(port.target_port, str) else port.target_port
        if port.protocol != "TCP":
            skipped.append(f"{port.port}/{port.protocol} of {service.key.name} (only TCP is carried)")
        elif number is not None:
            leads.append(_Lead(service.key, port, number, asked))
        elif asked:
            raise LocalizeError(
                f"port {port.port} of {service.key} leads to a port called {port.target_port},"
                " but no container of its pods has one",
                "name a containerPort so in the pod template, or give the Service's targetPort a number",
            )
        else:  # it has no endpoint on these pods now either, so it loses none
            skipped.append(f"{port.port} of {service.key.name} (no container has a port called {port.target_port})")
    if asked and not leads:
        raise LocalizeError(f"{service.key} has no TCP port", "only TCP ports can be exposed")
    return leads, skipped


def _local(leads: Sequence[_Lead], maps: Sequence[PortMap]) -> dict[int, tuple[str, int]]:
    """Host and local port for each target port that a map names."""
    places: dict[int, tuple[str, int]] = {}
    for port_map in maps:
        lead = _mapped(port_map, leads)
        local = (port_map.host, port_map.local_port)
        if _place(*places.setdefault(lead.number, local)) != _place(*local):
            raise LocalizeError(
                f"--map sends target port {lead.number} of {lead.key} to two places: {_place(*places[lead.number])} and"
                f" {_place(*local)}",
                "all ports of Services that lead to one target port go to one local port",
            )
    return places


def _place(host: str, port: int) -> str:
    host = host or LOCALHOST
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _mapped(port_map: PortMap, leads: Sequence[_Lead]) -> _Lead:
    """Find the Service's port that a map names."""
    keys = sorted({lead.key for lead in leads if port_map.service in ("", lead.key.name, str(lead.key))})
    if not keys:
        raise LocalizeError(f"--map names {port_map.service}, which is not exposed", "name one of the Services given")
    if len(keys) > 1:
        raise LocalizeError(
            f"--map {flag_value(port_map)} does not say whose port it is, and several Services are exposed",
            f"write --map {keys[0]}={flag_value(port_map)}",
        )
    of_service = [lead for lead in leads if lead.key == keys[0]]
    having = "its ports are " + ", ".join(map(str, of_service))
    candidates = list(_candidates(port_map.port, of_service))
    if not candidates:
        raise LocalizeError(f"--map names port {port_map.port}, but {keys[0]} has no such TCP port", having)
    if len({lead.number for lead in candidates}) > 1:
        raise LocalizeError(
            f"--map {flag_value(port_map)} does not say which port of {keys[0]} it means",
            f"write --map {flag_value(port_map)}:PORT; {having}",
        )
    return candidates[0]


def _candidates(port: str, leads: Sequence[_Lead]) -> Iterator[_Lead]:
    """The ports that a map's PORT may mean: by name, else by number, else by target port; all if it is empty."""
    for meant in (
        lambda lead: not port or lead.port.name == port,
        lambda lead: str(lead.port.port) == port,
        lambda lead: port in (str(lead.port.target_port), str(lead.number)),
    ):
        candidates = [lead for lead in leads if meant(lead)]
        if candidates:
            yield from candidates
            return


def flag_value(port_map: PortMap) -> str:
    """A map as it was typed, without its Service."""
    local = _place(port_map.host, port_map.local_port) if port_map.host else str(port_map.local_port)
    return f"{local}:{port_map.port}" if port_map.port else local


def own_ports(taken: Collection[int]) -> tuple[int, int]:
    """Choose the port of sshd itself and that of the readiness probe: 2222 and on, but for what is taken."""
    free = (port for port in range(SSHD_PORT, LAST_PORT + 1) if port not in taken)
    return next(free), next(free)
