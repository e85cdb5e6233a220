"""What listens here for the ports of an exposure: which are served, by which program, and what helps if none is."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.errors import LocalizeError
from kubectl_localize.host.system import System
from kubectl_localize.host.system.listeners import Listener, at
from kubectl_localize.model import Options, ServiceKey

FORCE_HINT = "start it, name another port with --map, or go on with --force"
SUGGESTED = 3  # more programs than that are no help
PRIVILEGED_BELOW = 1024
ROOT = 0


@dataclass(frozen=True)
class Verdict:
    """Which Services are served here.

    Args:
        unserved: of each exposed Service that nothing listens for, its first port.
        silent: all ports without a listener.
    """

    unserved: tuple[tuple[ServiceKey, CarriedPort], ...]
    silent: tuple[CarriedPort, ...]


def judge(ports: Sequence[CarriedPort], services: Sequence[ServiceKey], listens: Mapping[int, bool | None]) -> Verdict:
    """Decide which Services are served; pure.

    Args:
        ports: all that an exposure pod carries.
        services: those that are exposed; others on the same pods may lead to these ports, too.
        listens: for each target port, whether something listens for it here; None if that is not known.
    """
    silent = tuple(port for port in ports if listens[port.number] is False)
    unserved = []
    for key in services:
        carried = [port for port in ports if key in dict(port.services)]
        if carried and set(carried) <= set(silent):
            unserved.append((key, carried[0]))
    return Verdict(tuple(unserved), silent)


def warning(port: CarriedPort) -> str:
    """What it means that nothing listens for a port, in a sentence."""
    where = " and ".join(f"port {number} of {key}" for key, number in port.services)
    lead = "leads" if len(port.services) == 1 else "lead"
    more = "" if port.asked else "; --keep leaves these pods running"
    return f"nothing listens on {port.local}, where {where} {lead}: clients are refused until something does{more}"


class LocalListeners:
    """Looks at what listens on this machine."""

    def __init__(self, system: System) -> None:
        self._system = system

    def listens(self, port: CarriedPort) -> bool | None:
        """Whether something listens where a port leads to; None if the system does not tell."""
        answers = [self._system.listens(host, port.local_port) for host in port.hosts]
        if True in answers:
            return True
        return None if None in answers else False

    def host(self, port: CarriedPort) -> str:
        """The address at which something listens for a port; the first one if nothing does, or nobody knows."""
        return next((host for host in port.hosts if self._system.listens(host, port.local_port)), port.host)

    def verdict(self, ports: Sequence[CarriedPort], services: Sequence[ServiceKey]) -> Verdict:
        """Which of these Services are served now."""
        return judge(ports, services, {port.number: self.listens(port) for port in ports})

    def programs(self, ports: Sequence[CarriedPort]) -> list[str]:
        """What listens for these ports: `node (pid 4711) on 127.0.0.1:3000`; nothing for a port that is silent."""
        listeners = self._system.listeners()
        words = []
        for port in ports:
            for host in port.hosts:
                address = _address(host)
                listener = at(listeners, address, port.local_port) if address is not None else None
                if listener is not None:
                    words.append(f"{self._system.program_of(listener)} on {port.at(host)}")
                    break
        return words

    def loops(self, ports: Sequence[CarriedPort]) -> list[str]:
        """A sentence for each port at which the user's own `kubectl port-forward` listens."""
        return [
            f"{program} leads back into a cluster: the traffic goes there, and not to a process of yours"
            for program in self.programs(ports)
            if program.startswith("kubectl (")
        ]

    def refusal(self, key: ServiceKey, port: CarriedPort, several: bool) -> LocalizeError:
        """The error for a Service that nothing listens for.

        Args:
            port: one of its ports.
            several: whether it has several, so that a map has to say which it means.
        """
        number = next(number for service, number in port.services if service == key)
        return LocalizeError(
            f"nothing listens on {port.local}, where port {number} of {key} would lead",
            self._hint(port, f":{number}" if several else ""),
        )

    def _hint(self, port: CarriedPort, suffix: str) -> str:
        listeners = self._system.listeners()
        same = [listener for listener in listeners if listener.port == port.local_port and not _is_a_services(listener)]
        if same:
            program = self._system.program_of(same[0])
            return f"{program} listens on {same[0]}: --map {same[0]}{suffix}"
        others = self._likely(listeners)
        if not 1 <= len(others) <= SUGGESTED:
            return FORCE_HINT
        words = ", ".join(f"{self._system.program_of(listener)} on {listener}" for listener in others)
        return f"{FORCE_HINT}; here listen {words}: --map {others[0].port}{suffix}"

    def places(self) -> frozenset[str]:
        """Everything that listens now."""
        return frozenset(map(str, self._system.listeners()))

    def elsewhere(self, command: int, ports: Sequence[CarriedPort], before: Collection[str] = ()) -> str:
        """Where a command listens instead of where the ports lead to; empty if it does not listen, or as it should.

        Args:
            command: its process group.
            before: what has listened before it was started. If it has no socket of its own, what root alone has begun
                to listen on since counts as the command's: a container engine's proxy, say.
        """
        inodes = self._system.sockets_of(command)
        everything = sorted(self._system.listeners(), key=lambda listener: listener.port)
        listeners = [listener for listener in everything if listener.inode in inodes]
        if not listeners:
            new = [listener for listener in everything if str(listener) not in before]
            listeners = new if len(new) == 1 and new[0].uid == ROOT != os.getuid() else []
        if not listeners or any(self.listens(port) is not False for port in ports):
            return ""
        where = ", ".join(dict.fromkeys(map(str, listeners)))
        words = f"the command listens on {where}, and not on {ports[0].local}"
        return f"{words}: --map {_as_map(listeners[0])}" if len(listeners) == 1 else words

    def _likely(self, listeners: Sequence[Listener]) -> list[Listener]:
        """What a user may have meant: their own programs' ports on loopback; neither ours nor kubectl's."""
        likely = [
            listener
            for listener in listeners
            if listener.uid == os.getuid() and listener.port >= PRIVILEGED_BELOW and _is_usual(listener)
        ]
        if len(likely) > 4 * SUGGESTED:  # to find the programs of very many takes its time, for nothing
            return []
        return [listener for listener in likely if self._is_foreign(listener)]

    def _is_foreign(self, listener: Listener) -> bool:
        program = self._system.program_of(listener)
        return program.pid not in (0, os.getpid()) and program.name not in ("kubectl", "ssh", "kubectl-localize")


def _is_a_services(listener: Listener) -> bool:
    """Whether it listens in the default range of the addresses that Services have here (`Options.ip_range`)."""
    return listener.address in _SERVICE_ADDRESSES


def _is_usual(listener: Listener) -> bool:
    address = listener.address
    return address.is_unspecified or address in _LOCALHOSTS


def _as_map(listener: Listener) -> str:
    """The shortest `--map` that leads there."""
    return str(listener.port) if _is_usual(listener) else str(listener)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


_SERVICE_ADDRESSES = ipaddress.ip_network(Options.ip_range)
_LOCALHOSTS: Collection[object] = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
