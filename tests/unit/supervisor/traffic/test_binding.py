"""Sockets for listeners, from whoever may bind them."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from kubectl_localize.supervisor.traffic.binding import MOVED_BY, Bound, PortBinder
from tests.unit.supervisor.loop import play


class HelperGoneError(Exception):
    """What a helper raises of its own."""


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


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine whose port 9000 is held, and 8080, the first one to move 80 to."""
    found = Machine(9000, 80 + MOVED_BY)
    with found.made:
        yield found


def bound(machine: Machine, port: int, helper: Helper | None = None, address: str = "127.64.0.1") -> Bound:
    """What a binder makes of a port, where 8081 is meant for something else."""
    found: list[Bound] = []

    async def run() -> None:
        binder = PortBinder(machine.bind, lambda: helper, HelperGoneError)
        found.append(await binder.bound(address, port, lambda number: number == 8081))

    play(run())
    if helper is not None:
        helper.made.close()
    return found[0]


def test_a_port_that_this_user_may_bind(machine: Machine) -> None:
    assert bound(machine, 5432, Helper()) == Bound(machine.made)


def test_a_low_port_by_the_helper(machine: Machine) -> None:
    helper = Helper()
    assert bound(machine, 80, helper) == Bound(helper.made)
    assert machine.tried == [80]


def test_a_low_port_without_a_helper_moves_up_past_what_is_taken_or_meant_for_others(machine: Machine) -> None:
    assert bound(machine, 80) == Bound(machine.made, moved=True)
    assert machine.tried == [80, 8080, 8082]


@pytest.mark.parametrize(
    ("port", "helper", "address", "problem"),
    [
        (9000, None, "127.64.0.1", "another program has 127.64.0.1:9000, or port 9000 on all addresses"),
        (5432, None, "127.99.0.1", "127.99.0.1:5432 cannot be bound: Cannot assign requested address"),
        (80, None, "127.99.0.1", "127.99.0.1:8082 cannot be bound: Cannot assign requested address"),
        (80, Helper(OSError(errno.EADDRINUSE, "x")), "127.64.0.1", "another program has 127.64.0.1:80, or"),
        (80, Helper(HelperGoneError("the helper is gone")), "127.64.0.1", "the helper is gone"),
    ],
)
def test_what_cannot_be_bound_has_a_reason(
    machine: Machine, port: int, helper: Helper | None, address: str, problem: str
) -> None:
    found = bound(machine, port, helper, address)
    assert found.socket is None
    assert found.problem.startswith(problem)


class Mac:
    """Loopback has an address only once it was added; ports below 1024 need root even then."""

    def __init__(self, failure: Exception | None = None, in_vain: bool = False) -> None:
        self.added: list[str] = []
        self.failure = failure
        self.in_vain = in_vain
        self.made = socket.socket()

    async def add(self, address: str) -> None:
        if self.failure:
            raise self.failure
        self.added += [] if self.in_vain else [address]

    def bind(self, address: str, port: int) -> socket.socket:
        if address not in self.added:
            raise OSError(errno.EADDRNOTAVAIL, "Can't assign requested address")
        if port < 1024:
            raise PermissionError(errno.EACCES, "Permission denied")
        return self.made

    def bound(self, *ports: int, helper: Helper | None = None) -> list[Bound]:
        """What a binder makes of ports of one address."""
        found: list[Bound] = []

        async def run() -> None:
            binder = PortBinder(self.bind, lambda: helper, HelperGoneError, self.add)
            found.extend([await binder.bound("127.64.0.1", port, lambda _: False) for port in ports])

        with self.made:
            play(run())
        return found


def test_an_address_that_loopback_has_not_got_is_added_once() -> None:
    mac = Mac()
    assert mac.bound(5432, 5433) == [Bound(mac.made)] * 2
    assert mac.added == ["127.64.0.1"]


def test_a_low_port_of_an_added_address_is_the_helpers() -> None:
    mac, helper = Mac(), Helper()
    with helper.made:
        assert mac.bound(80, helper=helper) == [Bound(helper.made)]
    assert mac.added == ["127.64.0.1"]


def test_an_address_that_cannot_be_added_has_a_reason() -> None:
    assert Mac(HelperGoneError("needs sudo")).bound(5432) == [Bound(None, "needs sudo")]


def test_an_address_that_was_added_in_vain_has_a_reason() -> None:
    problem = "127.64.0.1:5432 cannot be bound: Can't assign requested address"
    assert Mac(in_vain=True).bound(5432) == [Bound(None, problem)]


def test_no_port_is_left(machine: Machine) -> None:
    machine.held = set(range(1024, 65536))
    assert bound(machine, 1000).problem == "no free port above 9000 on 127.64.0.1"
