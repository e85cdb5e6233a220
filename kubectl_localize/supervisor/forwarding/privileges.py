"""What forwards need of root, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PrivilegeRequest:
    """What this user may not do without the privileged helper.

    Args:
        hosts: whether the hosts file has to be written.
        ports: the ports below 1024 that have to be bound.
        addresses: whether addresses have to be added to the loopback interface (macOS).
    """

    hosts: bool
    ports: tuple[int, ...]
    addresses: bool = False

    def __bool__(self) -> bool:
        return self.hosts or bool(self.ports) or self.addresses
