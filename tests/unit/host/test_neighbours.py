"""Sockets of other users that have the place of ours."""

from __future__ import annotations

import ipaddress

import pytest

from kubectl_localize.host.neighbours import LOOK_SECONDS, Neighbours
from kubectl_localize.host.system.listeners import Listener

OURS, THEIRS = 1000, 1007


class Machine:
    """What listens there, and how often somebody has looked."""

    def __init__(self, *listeners: Listener) -> None:
        self.found = list(listeners)
        self.looks = 0
        self.seconds = 100.0

    def listeners(self) -> list[Listener]:
        self.looks += 1
        return list(self.found)

    def now(self) -> float:
        return self.seconds


def listener(address: str, uid: int, port: int = 5432) -> Listener:
    return Listener(ipaddress.ip_address(address), port, uid)


@pytest.mark.parametrize(
    ("address", "uid", "is_stranger"),
    [
        ("127.64.0.9", THEIRS, True),
        ("0.0.0.0", THEIRS, True),
        ("::", THEIRS, True),
        ("127.64.0.9", OURS, False),
        ("127.64.0.9", 0, False),
        ("127.64.0.8", THEIRS, False),
        ("::1", THEIRS, False),
    ],
)
def test_whose_it_is(address: str, uid: int, is_stranger: bool) -> None:
    machine = Machine(listener(address, uid))
    stranger = Neighbours(machine, OURS, machine.now).at("127.64.0.9", 5432)
    assert (stranger is not None) is is_stranger


def test_many_questions_are_one_look() -> None:
    machine = Machine(listener("127.64.0.9", THEIRS))
    neighbours = Neighbours(machine, OURS, machine.now)
    for port in range(100):
        neighbours.at("127.64.0.9", port)
    assert machine.looks == 1
    machine.found.clear()
    machine.seconds += LOOK_SECONDS
    assert neighbours.at("127.64.0.9", 5432) is None
    assert machine.looks == 2
