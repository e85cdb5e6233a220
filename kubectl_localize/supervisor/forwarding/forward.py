"""What runs for one Service: its addresses, its listeners, and what `ls` says of them."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from kubectl_localize.ls_document import ForwardItem, ForwardPod, ForwardPort, PortChild, Status, rfc3339
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.forwarding.listener import Listener, ListenerConfig
from kubectl_localize.supervisor.forwarding.spec import Binding, ForwardSpec, PortSpec
from kubectl_localize.supervisor.processes.port_forward import Target
from kubectl_localize.supervisor.traffic.binding import PortBinder
from kubectl_localize.timing import all_of

log = logging.getLogger(__name__)

NAMES_STAY_OUT = ", so its names stay out of the hosts file"

WORST_FIRST = (Status.BACKOFF, Status.WAITING, Status.ACTIVE, Status.IDLE)


def address_name(key: ServiceKey, pod: str = "") -> str:
    """The registry's name for the address of a Service, or of one of its pods."""
    return f"{key}/{pod}" if pod else str(key)


def wanted_addresses(spec: ForwardSpec) -> list[str]:
    """The registry's names for the addresses that a spec needs."""
    if spec.skipped:
        return []
    return [address_name(spec.key), *(address_name(spec.key, pod.label) for pod in spec.pods)]


class Forward:
    """A Service made local.

    Args:
        spec: what shall run.
        config: what all listeners share.
        binder: binds their sockets.
        since: when it was made, in UTC.

    Attributes:
        spec: what shall run now.
        applied: the last spec that everything has been done for; None before the first.
    """

    def __init__(self, spec: ForwardSpec, config: ListenerConfig, binder: PortBinder, since: datetime) -> None:
        self.spec = spec
        self.applied: ForwardSpec | None = None
        self._since = since
        self._config = config
        self._binder = binder
        self._addresses: Mapping[str, str] = {}
        self._listeners: dict[Binding, Listener] = {}
        self._opened = asyncio.Lock()

    def address(self, pod: str = "") -> str:
        """The address of the Service, or of the pod with this label; empty if it has none."""
        if self.spec.skipped:
            return ""
        return self._addresses.get(address_name(self.spec.key, pod), "")

    def follow(self, spec: ForwardSpec) -> None:
        """Take up a spec: new connections go to its endpoints from now on. `apply` does what has to be waited for."""
        self.spec = spec
        for open_listener in self._listeners.values():
            open_listener.terms = spec.terms
        for binding, endpoints in spec.bindings.items():
            if (listener := self._listeners.get(binding)) is not None:
                listener.follow(endpoints, spec.namespace, spec.affinity_seconds)

    async def apply(self, spec: ForwardSpec, addresses: Mapping[str, str]) -> None:
        """Make what runs equal to the spec: listeners come and go, addresses stay.

        Args:
            addresses: by the registry's names, all that the spec needs.
        """
        self.follow(spec)
        async with self._opened:
            self._addresses = addresses
            for binding in [binding for binding in self._listeners if binding not in spec.bindings]:
                await self._listeners.pop(binding).close()
            for binding in spec.bindings:
                listener = self._listeners.get(binding)
                if listener is None:
                    listener = self._listeners[binding] = Listener(self._config, spec.namespace, self.spec.terms)
                    now = self.spec  # `follow` may have changed it since
                    listener.follow(now.bindings.get(binding, ()), now.namespace, now.affinity_seconds)
                if not listener.listening:
                    await self._open(binding, listener)
            self.applied = spec

    async def reopen(self) -> bool:
        """Try again what could not be bound, and ports that were moved up; whether anything changed."""
        changed = False
        async with self._opened:
            for binding, listener in list(self._listeners.items()):
                if listener.listening and listener.local_port != binding.number:
                    bound = await self._binder.bound(self.address(binding.pod), binding.number, None)
                    if bound.socket is not None:  # if it cannot be listened on, it stays moved up
                        changed = not await self._listen(binding, listener, bound.socket) or changed
                elif not listener.listening:
                    changed = await self._open(binding, listener) or changed
        return changed

    async def _open(self, binding: Binding, listener: Listener) -> bool:
        def is_wanted(number: int) -> bool:
            return Binding(binding.pod, number) in self.spec.bindings

        bound = await self._binder.bound(self.address(binding.pod), binding.number, is_wanted)
        listener.problem, listener.stranger = bound.problem, bound.stranger
        if bound.socket is not None:
            listener.problem = await self._listen(binding, listener, bound.socket)
        return not listener.problem

    async def _listen(self, binding: Binding, listener: Listener, bound: socket.socket) -> str:
        """Listen on the bound socket. Returns why that failed; empty if it did not."""
        try:
            await listener.listen(bound)
        except OSError as error:
            bound.close()
            return f"{self.address(binding.pod)}:{binding.number} cannot be opened for listening: {error.strerror}"
        return ""

    async def close(self) -> None:
        """Close every listener; one that fails does not keep the others open."""
        async with self._opened:
            listeners, self._listeners = list(self._listeners.values()), {}
            await all_of(*(listener.close() for listener in listeners))

    def targets(self) -> set[Target]:
        """Every pod's port that its connections may go to."""
        return {
            Target(self.spec.namespace, endpoint.pod, endpoint.port)
            for endpoints in self.spec.bindings.values()
            for endpoint in endpoints
        }

    def problems(self) -> list[str]:
        """What keeps ports from being listened on, a sentence each."""
        return [
            f"{self.spec.key}: {listener.problem}" + (NAMES_STAY_OUT if self.leads_astray(binding.pod) else "")
            for binding, listener in self._listeners.items()
            if listener.problem
        ]

    def leads_astray(self, pod: str = "") -> bool:
        """Whether a name for the address of the Service, or of the pod with this label, would lead to another user.

        It would if that user listens at this very address, which nobody does by chance, or if nobody else does there.
        """
        listeners = [listener for binding, listener in self._listeners.items() if binding.pod == pod]
        strangers = [listener.stranger for listener in listeners if listener.stranger is not None]
        aimed = any(not stranger.address.is_unspecified for stranger in strangers)
        return aimed or (bool(strangers) and not any(listener.listening for listener in listeners))

    def moved(self) -> list[tuple[int, int]]:
        """Pairs of port and local port for the ports that listen on another number than the cluster's."""
        return sorted(
            (binding.number, listener.local_port)
            for binding, listener in self._listeners.items()
            if listener.listening and listener.local_port != binding.number
        )

    # -- what ls shows ------------------------------------------------------------------------------------------------
    def item(self, context: str, names: Mapping[str, tuple[str, ...]]) -> ForwardItem:
        """This forward in the `ls` document.

        Args:
            names: host names by address.
        """
        spec = self.spec
        ports = tuple(self._port_item(port) for port in spec.ports)
        status, reason = self._status(ports)
        return ForwardItem(
            context=context,
            namespace=spec.key.namespace,
            name=spec.key.name,
            status=status,
            reason=reason,
            address=self.address(),
            pods=tuple(
                ForwardPod(pod.pod, address, names.get(address, ()))
                for pod in spec.pods
                if (address := self.address(pod.label))
            ),
            hostnames=names.get(self.address(), ()),
            ports=tuple(map(_say_moved, ports, spec.ports)),
            endpoints=tuple(sorted({endpoint.pod for endpoint in spec.endpoints})),
            labels=dict(spec.service.labels),
            since=rfc3339(self._since) if not spec.skipped else "",
        )

    def _status(self, ports: Sequence[ForwardPort]) -> tuple[Status, str]:
        if self.spec.skipped:
            return Status.SKIPPED, self.spec.skipped
        open_ports = [port for port in ports if port.status is not Status.SKIPPED]
        if not open_ports:  # no port is known before the first pod
            return Status.WAITING, "no Ready pod"
        worst = min(open_ports, key=lambda port: WORST_FIRST.index(port.status))
        reasons = [worst.reason, *(port.reason for port in ports), self.spec.note]
        return worst.status, next((reason for reason in reasons if reason), "")

    def _port_item(self, spec: PortSpec) -> ForwardPort:
        port = spec.port
        own = [
            self._listeners[binding] for number in spec.numbers if (binding := Binding("", number)) in self._listeners
        ]
        listeners = [listener for binding, listener in self._listeners.items() if binding.number in spec.numbers]
        skipped = spec.skipped or self.spec.skipped
        status, reason = (Status.SKIPPED, skipped) if skipped else _worst(own)
        local = own[0].local_port if own else 0
        children = {child.target: child for listener in own for child in listener.children() if child.pid}
        return ForwardPort(
            name=port.name,
            port=port.port,
            local_port=local,
            target_port=port.target_port,
            protocol=port.protocol,
            status=status,
            reason=reason,
            connections=sum(listener.traffic.open for listener in listeners),
            bytes_in=sum(listener.traffic.bytes_in for listener in listeners),
            bytes_out=sum(listener.traffic.bytes_out for listener in listeners),
            restarts=sum(child.restarts for listener in own for child in listener.children()),
            children=tuple(
                PortChild(child.target.pod, child.pid, child.connections) for child in children.values() if child.pid
            ),
        )


def _say_moved(item: ForwardPort, spec: PortSpec) -> ForwardPort:
    """The port with the reason why it has another number here; of the Service, PORT(S) and a warning say it already."""
    if item.reason or item.local_port in (0, *spec.numbers):
        return item
    return replace(item, reason=f"port {spec.numbers[0]} needs sudo, so it is {item.local_port} here")


def _worst(listeners: list[Listener]) -> tuple[Status, str]:
    if not listeners:
        return Status.WAITING, "no Ready pod"
    return min((listener.status() for listener in listeners), key=lambda status: WORST_FIRST.index(status[0]))
