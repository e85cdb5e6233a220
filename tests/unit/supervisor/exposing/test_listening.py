"""What listens here for an exposure's ports: which Services are served, by whom, and what helps if nothing does."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Mapping, Sequence
from typing import cast

import pytest

from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.host.system import System
from kubectl_localize.host.system.listeners import Listener, Program, at
from kubectl_localize.model import ServiceKey
from kubectl_localize.supervisor.exposing.listening import ROOT, LocalListeners, judge, warning
from tests.unit.fakes.runtime import ListeningSystem

WEB, METRICS = ServiceKey("shop", "web"), ServiceKey("shop", "metrics")
NODE, ROOTS = Program("node", 4711, "ada"), Program("a process", 0, "root")


def port(number: int, *services: tuple[ServiceKey, int], **changes: bool) -> CarriedPort:
    return CarriedPort(number, (), "127.0.0.1", number, services or ((WEB, number),), **changes)


def listener(address: str, number: int, inode: int = 1, uid: int | None = None) -> Listener:
    return Listener(ipaddress.ip_address(address), number, os.getuid() if uid is None else uid, inode)


def machine(
    *listeners: Listener, programs: Mapping[int, Program] | None = None, command: Collection[int] = ()
) -> LocalListeners:
    """A machine on which these listen."""

    def listens(host: str, number: int) -> bool:
        return at(listeners, ipaddress.ip_address(host), number) is not None

    system = ListeningSystem(listens, listeners, {1: NODE} if programs is None else programs, command)
    return LocalListeners(cast(System, system))


# -- which Services are served ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("listens", "unserved", "silent"),
    [
        ({80: True, 81: True}, [], []),
        ({80: True, 81: False}, [], [81]),
        ({80: False, 81: True}, [], [80]),
        ({80: False, 81: False}, [WEB], [80, 81]),
        ({80: None, 81: False}, [], [81]),  # nobody knows: perhaps it is served
        ({80: None, 81: None}, [], []),
    ],
)
def test_a_service_with_two_ports(
    listens: Mapping[int, bool | None], unserved: Sequence[ServiceKey], silent: Sequence[int]
) -> None:
    verdict = judge([port(80), port(81)], [WEB], listens)
    assert ([key for key, _ in verdict.unserved], [one.number for one in verdict.silent]) == (unserved, silent)


def test_each_service_is_judged_by_its_own_ports() -> None:
    ports = [port(80, (WEB, 80), (METRICS, 81)), port(90, (METRICS, 90)), port(91, (WEB, 91))]
    both = (WEB, METRICS)
    assert judge(ports, both, {80: True, 90: False, 91: False}).unserved == ()
    assert [key for key, _ in judge(ports, both, {80: False, 90: True, 91: False}).unserved] == [WEB]
    assert judge(ports, [METRICS], {80: False, 90: True, 91: False}).unserved == (), "the other one is not exposed"


def test_the_warning_names_every_service_that_leads_there() -> None:
    words = warning(port(90, (WEB, 8090), (METRICS, 80)))
    assert words.startswith("nothing listens on 127.0.0.1:90, where port 8090 of shop/web and port 80 of shop/metrics")


# -- which program ----------------------------------------------------------------------------------------------------
def test_the_program_is_named_with_its_place() -> None:
    here = machine(listener("127.0.0.1", 3000), listener("::1", 3000, 2), programs={1: NODE, 2: ROOTS})
    assert here.programs([port(3000, either=True)]) == ["node (pid 4711) on 127.0.0.1:3000"]


def test_the_other_loopback_address_serves_whoever_named_none() -> None:
    here = machine(listener("::1", 3000))
    assert here.programs([port(3000, either=True), port(80)]) == ["node (pid 4711) on [::1]:3000"]
    assert (here.listens(port(3000, either=True)), here.listens(port(3000))) == (True, False)
    assert (here.host(port(3000, either=True)), here.host(port(80, either=True))) == ("::1", "127.0.0.1")


def test_another_users_program_is_called_theirs() -> None:
    assert machine(listener("0.0.0.0", 80, 7)).programs([port(80)]) == ["a process of root on 127.0.0.1:80"]


# -- what helps -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("listeners", "hint"),
    [
        (["::1 3000"], "node (pid 4711) listens on [::1]:3000: --map [::1]:3000:80"),
        (["192.168.1.5 3000"], "node (pid 4711) listens on 192.168.1.5:3000: --map 192.168.1.5:3000:80"),
        (["127.0.0.1 5173"], "here listen node (pid 4711) on 127.0.0.1:5173: --map 5173:80"),
        (["0.0.0.0 5173"], "here listen node (pid 4711) on 127.0.0.1:5173: --map 5173:80"),
        (["127.66.1.2 5173"], "go on with --force"),  # a Service's own address
        (["127.66.1.2 3000"], "go on with --force"),
        ([f"127.0.0.1 {number}" for number in range(4000, 4010)], "go on with --force"),
        ([], "go on with --force"),
    ],
)
def test_what_listens_nearby_is_offered(listeners: Sequence[str], hint: str) -> None:
    places = [place.split() for place in listeners]
    here = machine(*(listener(address, int(number)) for address, number in places))
    error = here.refusal(WEB, port(3000, (WEB, 80)), several=True)
    assert error.message == "nothing listens on 127.0.0.1:3000, where port 80 of shop/web would lead"
    assert error.hint.endswith(hint)


@pytest.mark.parametrize("name", ["kubectl", "ssh"])
def test_port_forwards_and_others_programs_are_not_offered(name: str) -> None:
    mine = machine(listener("127.0.0.1", 5173), programs={1: Program(name, 1, "ada")})
    others = machine(listener("127.0.0.1", 5173, uid=os.getuid() + 1))
    for here in (mine, others):
        assert here.refusal(WEB, port(3000), several=False).hint.endswith("--force")


def test_where_a_command_listens_instead() -> None:
    here = machine(listener("127.0.0.1", 5173, 5), listener("127.0.0.1", 4000, 6), command=(5,))
    words = here.elsewhere(4711, [port(3000, either=True)])
    assert words == "the command listens on 127.0.0.1:5173, and not on 127.0.0.1:3000: --map 5173"
    two = machine(listener("127.0.0.1", 5173, 5), listener("10.0.0.1", 9229, 6), command=(5, 6))
    assert two.elsewhere(1, [port(3000)]) == (
        "the command listens on 127.0.0.1:5173, 10.0.0.1:9229, and not on 127.0.0.1:3000"
    )


def test_what_a_container_engine_listens_on_for_a_command_counts_as_its() -> None:
    proxy = listener("0.0.0.0", 5173, 7, uid=ROOT)
    here = machine(proxy)
    if os.getuid() != ROOT:
        assert here.elsewhere(4711, [port(3000)], before=()).endswith("and not on 127.0.0.1:3000: --map 5173")
    assert here.elsewhere(4711, [port(3000)], before=here.places()) == "", "it was there before"
    for others in ((proxy, listener("0.0.0.0", 5174, 8, uid=ROOT)), (listener("0.0.0.0", 5173, 7, uid=4_000_000),)):
        assert machine(*others).elsewhere(4711, [port(3000)]) == "", "nobody knows whose they are"
    both = machine(proxy, listener("127.0.0.1", 8081, 5), command=(5,))
    assert both.elsewhere(4711, [port(3000)]).endswith("--map 8081"), "it has a socket of its own"


def test_a_port_forward_of_the_users_own_is_warned_of() -> None:
    here = machine(listener("127.0.0.1", 3000), programs={1: Program("kubectl", 7, "ada")})
    (sentence,) = here.loops([port(3000), port(80)])
    assert sentence.startswith("kubectl (pid 7) on 127.0.0.1:3000 leads back into a cluster")
    assert machine(listener("127.0.0.1", 3000)).loops([port(3000)]) == []


def test_one_that_listens_where_it_should_or_nowhere_is_let_be() -> None:
    here = machine(listener("127.0.0.1", 3000, 5), listener("127.0.0.1", 9229, 5), command=(5,))
    assert here.elsewhere(4711, [port(3000)]) == ""
    assert machine(listener("127.0.0.1", 5173, 5)).elsewhere(4711, [port(3000)]) == ""
