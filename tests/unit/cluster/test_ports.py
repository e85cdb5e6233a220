"""Which ports an exposure carries, and where they lead."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cluster.exposing.ports import carried, own_ports, parse_map
from kubectl_localize.cluster.exposing.values import CarriedPort
from kubectl_localize.errors import LocalizeError
from kubectl_localize.model import PortMap, ServiceKey

CART, WEB = ServiceKey("shop", "cart"), ServiceKey("shop", "web")


def service(name: str, *ports: dict[str, Any], **selector: str) -> dict[str, Any]:
    """A Service of the namespace shop."""
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": list(ports), "selector": selector}}


def port(number: int, target: int | str = 0, name: str = "", protocol: str = "TCP") -> dict[str, Any]:
    """A Service's port; the same target where none is given."""
    return {"port": number, "targetPort": target or number, "protocol": protocol, **({"name": name} if name else {})}


def template(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A pod template with these containers."""
    return {"spec": {"containers": list(containers), "initContainers": list(init)}}


def container(**names: int) -> dict[str, Any]:
    """One with these named ports."""
    return {"ports": [{"name": name, "containerPort": number, "protocol": "TCP"} for name, number in names.items()]}


NUMBERS = st.integers(1, 65535)
PLAIN = template(container())


# -- what is carried --------------------------------------------------------------------------------------------------
def test_each_port_goes_to_its_target_ports_number() -> None:
    found, skipped = carried([service("cart", port(80, 8080), port(443, name="tls"))], [], PLAIN, [])
    assert found == (
        CarriedPort(443, (), "127.0.0.1", 443, ((CART, 443),), either=True),
        CarriedPort(8080, (), "127.0.0.1", 8080, ((CART, 80),), either=True),
    )
    assert skipped == ()


def test_named_target_ports_keep_their_names() -> None:
    pods = template(container(http=8080, admin=9090), container(web=8080))
    found, _ = carried([service("cart", port(80, "http"))], [], pods, [])
    assert found == (CarriedPort(8080, ("http", "web"), "127.0.0.1", 8080, ((CART, 80),), either=True),)


def test_a_name_of_several_containers_means_the_first_ones() -> None:
    pods = template(container(http=8080), container(http=9090))
    found, _ = carried([service("cart", port(80, "http"), port(90, 9090))], [], pods, [])
    assert [(one.number, one.names) for one in found] == [(8080, ("http",)), (9090, ())]


def test_sidecars_have_ports_too_but_other_init_containers_and_udp_ports_do_not() -> None:
    sidecar = {**container(proxy=15001), "restartPolicy": "Always"}
    udp = {"ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]}
    pods = template(udp, init=(container(early=1), sidecar))
    found, _ = carried([service("cart", port(80, "proxy"))], [], pods, [])
    assert [one.number for one in found] == [15001]
    for name in ("early", "dns", "nowhere"):
        with pytest.raises(LocalizeError, match=f"leads to a port called {name}, but no container") as error:
            carried([service("cart", port(80, name))], [], pods, [])
        assert error.value.hint


def test_two_ports_on_one_target_port_are_one() -> None:
    pods = template(container(http=8080))
    found, _ = carried([service("cart", port(80, "http"), port(8080))], [service("web", port(81, 8080))], pods, [])
    services = ((CART, 80), (CART, 8080), (WEB, 81))
    assert found == (CarriedPort(8080, ("http",), "127.0.0.1", 8080, services, either=True),)


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("", ("127.0.0.1", "::1")),
        ("localhost", ("127.0.0.1", "::1")),
        ("127.0.0.1", ("127.0.0.1",)),
        ("::1", ("::1",)),
        ("10.0.0.7", ("10.0.0.7",)),
    ],
)
def test_who_names_no_address_means_either_loopback_address(host: str, hosts: tuple[str, ...]) -> None:
    (found,), _ = carried([service("cart", port(80))], [], PLAIN, [PortMap("", host, 3000, "")])
    assert (found.hosts, found.at(found.hosts[-1])) == (hosts, "[::1]:3000" if "::1" in hosts else f"{host}:3000")


def test_the_same_place_in_two_ways_is_no_contradiction() -> None:
    maps = [PortMap("", "", 3000, "80"), PortMap("", "127.0.0.1", 3000, "81")]
    (found,), _ = carried([service("cart", port(80, 8080), port(81, 8080))], [], PLAIN, maps)
    assert found.local == "127.0.0.1:3000"


def test_other_services_on_the_same_pods_keep_their_ports() -> None:
    pods = template(container(metrics=9100))
    found, skipped = carried(
        [service("cart", port(80))], [service("web", port(80), port(90, "metrics"), port(99, "gone"))], pods, []
    )
    assert [(one.number, one.asked, one.services) for one in found] == [
        (80, True, ((CART, 80), (WEB, 80))),
        (9100, False, ((WEB, 90),)),
    ]
    assert skipped == ("99 of web (no container has a port called gone)",)


def test_what_is_not_tcp_is_named() -> None:
    dns = service("dns", port(53, protocol="UDP"), port(53), port(132, protocol="SCTP"))
    found, skipped = carried([dns], [service("web", port(443, protocol="UDP"))], PLAIN, [])
    assert [one.number for one in found] == [53]
    assert skipped == tuple(
        f"{port} (only TCP is carried)" for port in ("53/UDP of dns", "132/SCTP of dns", "443/UDP of web")
    )


@pytest.mark.parametrize("ports", [(), (port(53, protocol="UDP"),)])
def test_a_service_without_a_tcp_port_cannot_be_exposed(ports: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(LocalizeError, match="shop/cart has no TCP port"):
        carried([service("cart", *ports)], [], PLAIN, [])


MAPPED = service("cart", port(80, "http", name="web"), port(8080, 9090, name="admin"), port(81, 7070))
PODS = template(container(http=8080, web=1234))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("3000:web", 8080),  # the Service's name for a port goes before the pods'
        ("3000:80", 8080),
        ("3000:http", 8080),
        ("3000:8080", 9090),  # a port's number goes before a target port's
        ("3000:admin", 9090),
        ("3000:9090", 9090),
        ("3000:7070", 7070),
        ("cart=3000:81", 7070),
        ("shop/cart=3000:81", 7070),
    ],
)
def test_a_map_finds_its_port(text: str, number: int) -> None:
    found, _ = carried([MAPPED], [service("web", port(81, 7070))], PODS, [parse_map(text)])
    assert {one.number: one.local_port for one in found} == {
        8080: 8080, 9090: 9090, 7070: 7070, number: 3000
    }  # fmt: skip


def test_a_map_names_the_host_and_needs_no_port_where_there_is_one() -> None:
    one, two = service("cart", port(80, 8080), port(8080)), service("web", port(81))
    found, _ = carried([one, two], [], PLAIN, [parse_map("cart=[::1]:3000"), parse_map("web=box:81")])
    assert [one.local for one in found] == ["box:81", "[::1]:3000"]


@pytest.mark.parametrize(
    ("maps", "words", "hint"),
    [
        (["cart=3000:99"], "names port 99, but shop/cart has no such TCP port", "80 (web), 8080 (admin), 81"),
        (["cart=3000"], "--map 3000 does not say which port of shop/cart", "write --map 3000:PORT"),
        (["3000:80"], "--map 3000:80 does not say whose port", "write --map shop/cart=3000:80"),
        (["dns=3000:80"], "names dns, which is not exposed", "Services given"),
        (["other=3000:80"], "names other, which is not exposed", "Services given"),
        (["try/cart=3000:80"], "names try/cart, which is not exposed", "Services given"),
        (["web=3000:53"], "names port 53, but shop/web has no such TCP port", "its ports are 8080"),
        (["cart=3000:80", "web=[::1]:3000"], "port 8080 of shop/web to two places: 127.0.0.1:3000 and [::1]:3000",
         "one local port"),
    ],
)  # fmt: skip
def test_maps_that_fit_nothing_or_too_much(maps: list[str], words: str, hint: str) -> None:
    web, other = service("web", port(8080), port(53, protocol="UDP")), service("other", port(80))
    with pytest.raises(LocalizeError) as error:
        carried([MAPPED, web], [other], PODS, [parse_map(text) for text in maps])
    assert words in error.value.message
    assert hint in error.value.hint


def test_the_same_map_twice_is_no_contradiction() -> None:
    found, _ = carried([MAPPED], [], PODS, [parse_map("3000:80"), parse_map("127.0.0.1:3000:http")])
    assert [one.local_port for one in found if one.number == 8080] == [3000]


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6, unique_by=lambda pair: pair[0]), NUMBERS)
def test_no_port_is_lost_and_no_number_is_used_twice(pairs: list[tuple[int, int]], local: int) -> None:
    item = service("cart", *(port(number, target) for number, target in pairs))
    found, _ = carried([item], [], PLAIN, [PortMap("", "", local, str(pairs[0][0]))])
    assert [one.number for one in found] == sorted({target for _, target in pairs})
    assert {(key, number, one.number) for one in found for key, number in one.services} == {
        (CART, number, target) for number, target in pairs
    }
    assert {one.number: one.local_port for one in found}[pairs[0][1]] == local


def test_sshd_listens_where_nobody_else_does() -> None:
    assert own_ports([]) == (2222, 2223)
    assert own_ports({2222, 2224, 8080}) == (2223, 2225)
