"""How a `--map` is read."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_localize.cluster.exposing.ports import parse_map
from kubectl_localize.model import PortMap


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3000", PortMap("", "", 3000, "")),
        ("3000:80", PortMap("", "", 3000, "80")),
        ("3000:http", PortMap("", "", 3000, "http")),
        ("localhost:3000", PortMap("", "localhost", 3000, "")),
        ("127.0.0.1:3000:80", PortMap("", "127.0.0.1", 3000, "80")),
        ("dev-box.lan:3000:http-alt", PortMap("", "dev-box.lan", 3000, "http-alt")),
        ("[::1]:3000", PortMap("", "::1", 3000, "")),
        ("[0:0:0:0:0:0:0:1]:3000:80", PortMap("", "::1", 3000, "80")),
        ("[fe80::1%eth0]:3000", PortMap("", "fe80::1%eth0", 3000, "")),
        ("cart=3000", PortMap("cart", "", 3000, "")),
        ("shop/cart=8080:80", PortMap("shop/cart", "", 8080, "80")),
        ("shop/cart=[::1]:8080:http", PortMap("shop/cart", "::1", 8080, "http")),
        ("1:65535", PortMap("", "", 1, "65535")),
        ("03000:080", PortMap("", "", 3000, "80")),
        ("3000:3proxy", PortMap("", "", 3000, "3proxy")),
    ],
)
def test_a_map(text: str, expected: PortMap) -> None:
    assert parse_map(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http", "no local port"),
        ("localhost:http", "no local port"),
        ("localhost:", "no local port"),
        (":3000", "'' is not a host"),
        ("::1:3000", "in brackets"),
        ("fe80::1:3000", "no local port"),
        ("3000:80:90", "too many parts"),
        ("3000:", "neither a port's name nor its number"),
        ("3000:HTTP", "neither a port's name nor its number"),
        ("[::1]", "is not a host"),
        ("[::1]3000", "is not a host"),
        ("[localhost]:3000", "is not an IPv6 address"),
        ("0", "from 1 to 65535"),
        ("65536", "from 1 to 65535"),
        ("3000:65536", "from 1 to 65535"),
        ("9" * 5000, "from 1 to 65535"),
        ("٣٠٠٠", "is not a host"),
        ("=3000", "is not a Service's name"),
        ("", "it is empty"),
        ("cart=", "has no local port"),
        ("a/b/c=3000", "is not a Service's name"),
        ("cart=web=3000", "is not a Service's name"),
        ("3000 :80", "is not a host"),
    ],
)
def test_what_is_no_map_is_said_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_map(text)


NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
NUMBERS = st.integers(1, 65535)


@given(
    st.just("") | NAMES | st.tuples(NAMES, NAMES).map("/".join),
    st.just("") | NAMES | st.ip_addresses(),
    NUMBERS,
    st.just("") | NAMES | NUMBERS,
)
def test_every_map_that_is_written_is_read(name: str, host: Any, local: int, target: Any) -> None:
    shown = f"[{host}]" if ":" in str(host) else str(host)
    text = (f"{name}=" if name else "") + (f"{shown}:" if shown else "") + str(local) + (f":{target}" if target else "")
    assert parse_map(text) == PortMap(name, str(host), local, str(target))


@given(st.text("=:/[]ab1-. ", max_size=20))
def test_anything_else_is_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert 1 <= parse_map(text).local_port <= 65535
