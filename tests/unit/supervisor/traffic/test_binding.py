"""Sockets for listeners, from whoever may bind them."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator

import pytest

from kubectl_localize.host.helper_client import HelperError
from kubectl_localize.host.system.listeners import Listener
from kubectl_localize.supervisor.traffic.binding import MOVED_BY, Bound, PortBinder


class Machine:
    """Binds as a user who may bind only from 1024 up; `held` are ports that somebody else has."""

    def __init__(self, *held: int) -> None:
        self.held = set(held)
        self.tried: list[int] = []
        self.made = socket.socket()

    def bind(self, address: str, port: int) -> socket.socket:
        self.tried.append(port)
        if port < 1024:
            raise PermissionError(errno.EACCES, "Permission denied")
        if port in self.held:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        if address == "127.99.0.1":
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return self.made


class Helper:
    """Binds anything, or fails as it is told to."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.made = socket.socket()

    async def bind(self, address: str, port: int) -> socket.socket:
        if self.failure:
            raise self.failure
        return self.made


class Helpers:
    """The helper that is connected, if one is; addresses are added to `added`, or not (`LoopbackHelpers`)."""

    def __init__(self, privileged: Helper | None = None, failure: Exception | None = None) -> None:
        self.privileged = privileged
        self.failure = failure
        self.added: list[str] = []

    async def add_address(self, address: str) -> None:
        if self.failure:
            raise self.failure
        self.added.append(address)


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine whose port 9000 is held, and 8080, the first one to move 80 to."""
    machine = Machine(9000, 80 + MOVED_BY)
    with machine.made:
        yield machine


async def bound(machine: Machine, port: int, helper: Helper | None = None, address: str = "127.64.0.1") -> Bound:
    """What a binder makes of a port, if 8081 is meant for something else."""
    binder = PortBinder(machine.bind, Helpers(helper), aliases_loopback=False)
    try:
        return await binder.bound(address, port, lambda number: number == 8081)
    finally:
        if helper is not None:
            helper.made.close()


async def test_a_port_that_this_user_may_bind(machine: Machine) -> None:
    assert await bound(machine, 5432, Helper()) == Bound(machine.made)


async def test_a_low_port_by_the_helper(machine: Machine) -> None:
    helper = Helper()
    assert await bound(machine, 80, helper) == Bound(helper.made)
    assert machine.tried == [80]


async def test_a_low_port_without_a_helper_moves_up_past_what_is_taken_or_meant_for_others(machine: Machine) -> None:
    assert await bound(machine, 80) == Bound(machine.made, moved=True)
    assert machine.tried == [80, 8080, 8082]


@pytest.mark.parametrize(
    ("port", "helper", "address", "problem"),
    [
        (9000, None, "127.64.0.1", "another program has 127.64.0.1:9000, or port 9000 on all addresses"),
        (5432, None, "127.99.0.1", "127.99.0.1:5432 cannot be bound: Cannot assign requested address"),
        (80, None, "127.99.0.1", "127.99.0.1:8082 cannot be bound: Cannot assign requested address"),
        (80, Helper(OSError(errno.EADDRINUSE, "x")), "127.64.0.1", "another program has 127.64.0.1:80, or"),
        (80, Helper(HelperError("the helper is gone")), "127.64.0.1", "the helper is gone"),
    ],
)
async def test_what_cannot_be_bound_has_a_reason(
    machine: Machine, port: int, helper: Helper | None, address: str, problem: str
) -> None:
    result = await bound(machine, port, helper, address)
    assert result.socket is None
    assert result.problem.startswith(problem)


class Mac:
    """Loopback has an address only once it was added; ports below 1024 need root even then."""

    def __init__(self, helpers: Helpers) -> None:
        self.helpers = helpers
        self.made = socket.socket()

    def bind(self, address: str, port: int) -> socket.socket:
        if address not in self.helpers.added:
            raise OSError(errno.EADDRNOTAVAIL, "Can't assign requested address")
        if port < 1024:
            raise PermissionError(errno.EACCES, "Permission denied")
        return self.made

    async def bound(self, *ports: int) -> list[Bound]:
        """What a binder makes of ports of one address."""
        binder = PortBinder(self.bind, self.helpers, aliases_loopback=True)
        with self.made:
            return [await binder.bound("127.64.0.1", port, lambda _: False) for port in ports]


async def test_an_address_that_loopback_has_not_got_is_added_once() -> None:
    mac = Mac(Helpers())
    assert await mac.bound(5432, 5433) == [Bound(mac.made)] * 2
    assert mac.helpers.added == ["127.64.0.1"]


async def test_a_low_port_of_an_added_address_is_the_helpers() -> None:
    helper = Helper()
    mac = Mac(Helpers(helper))
    with helper.made:
        assert await mac.bound(80) == [Bound(helper.made)]
    assert mac.helpers.added == ["127.64.0.1"]


async def test_an_address_that_cannot_be_added_has_a_reason() -> None:
    assert await Mac(Helpers(failure=HelperError("needs sudo"))).bound(5432) == [Bound(None, "needs sudo")]


async def test_an_address_that_was_added_in_vain_has_a_reason() -> None:
    mac = Mac(Helpers())
    binder = PortBinder(mac.bind, Helpers(), aliases_loopback=True)
    with mac.made:
        problem = "127.64.0.1:5432 cannot be bound: Can't assign requested address"
        assert await binder.bound("127.64.0.1", 5432, None) == Bound(None, problem)


async def test_no_port_is_left(machine: Machine) -> None:
    machine.held = set(range(1024, 65536))
    assert (await bound(machine, 1000)).problem == "no free port above 9000 on 127.64.0.1"


class Strangers:
    """Other users' sockets, by address and port."""

    def __init__(self, **uids: int) -> None:
        self._uids = uids

    def at(self, address: str, port: int) -> Listener | None:
        uid = self._uids.get(f"port{port}")
        return None if uid is None else Listener(ipaddress.ip_address(address), port, uid)


async def test_another_users_program_is_named(machine: Machine) -> None:
    binder = PortBinder(machine.bind, Helpers(), aliases_loopback=False, strangers=Strangers(port9000=1007))
    bound = await binder.bound("127.64.0.1", 9000, None)
    assert (bound.socket, bound.problem) == (None, "user 1007 has 127.64.0.1:9000")
    assert bound.stranger is not None


async def test_a_program_of_this_user_is_no_stranger(machine: Machine) -> None:
    binder = PortBinder(machine.bind, Helpers(), aliases_loopback=False, strangers=Strangers())
    bound = await binder.bound("127.64.0.1", 9000, None)
    assert bound.problem.startswith("another program has 127.64.0.1:9000")
    assert bound.stranger is None
