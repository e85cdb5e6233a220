"""The resolver's view of names, and the list of top-level domains."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator

import pytest

from kubectl_localize.host.resolve import exists_publicly, lookup, top_level_domains, unresolved
from kubectl_localize.model import HostsLine


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """What a resolver waits for that does not answer before the test is over."""
    over = threading.Event()
    yield over
    over.set()


def test_lookup_asks_the_machines_resolver() -> None:
    assert lookup("localhost") == {"127.0.0.1"}
    assert lookup("127.64.0.1") == {"127.64.0.1"}
    assert lookup("a" * 64 + ".invalid") == frozenset()


async def test_unresolved_tries_the_last_name_of_each_line() -> None:
    known = {"web.shop": "127.64.0.1", "db.shop": "127.64.9.9"}
    asked = []

    def resolver(name: str) -> frozenset[str]:
        asked.append(name)
        return frozenset({known[name]} if name in known else ())

    lines = [
        HostsLine("127.64.0.1", ("web", "web.shop")),
        HostsLine("127.64.0.2", ("db.shop",)),
        HostsLine("127.64.0.3", ("gone.shop",)),
        HostsLine("127.64.0.4", ()),
    ]
    assert await unresolved(lines, resolver) == ["db.shop", "gone.shop"]
    assert asked == ["web.shop", "db.shop", "gone.shop"]


async def test_unresolved_stops_at_its_limit() -> None:
    lines = [HostsLine("127.64.0.1", (f"n{number}",)) for number in range(100)]
    assert await unresolved(lines, lambda name: frozenset(), limit=3) == ["n3", "n9", "n15"]


async def test_of_many_lines_a_few_are_tried_and_the_last_one_is_among_them() -> None:
    lines = [HostsLine("127.64.0.1", (f"n{number}",)) for number in range(1000)]
    asked: list[str] = []

    def resolver(name: str) -> frozenset[str]:
        asked.append(name)
        return frozenset({"127.64.0.1"})

    assert await unresolved(lines, resolver) == []
    assert len(asked) < 20
    assert asked[-1] == "n999"


async def test_a_name_exists_publicly_when_the_resolver_knows_its_absolute_form() -> None:
    public = {"github.com.": frozenset({"1.2.3.4"})}

    def resolver(name: str) -> frozenset[str]:
        return public.get(name, frozenset())

    assert await exists_publicly("github.com", resolver)
    assert await exists_publicly("github.com.", resolver)
    assert not await exists_publicly("web.shop", resolver)


@pytest.mark.timeout(20)
def test_look_ups_that_hang_hold_up_neither_their_caller_nor_the_exit(hanging: threading.Event) -> None:
    """`asyncio.run` ends only when the threads of the loop's own executor have ended."""

    def resolver(name: str) -> frozenset[str]:
        hanging.wait()
        return frozenset({"1.2.3.4"})

    async def ask() -> None:
        assert not await exists_publicly("github.com", resolver, timeout_seconds=0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await unresolved([HostsLine("127.64.0.1", ("web",))], resolver)

    asyncio.run(ask())
    assert not hanging.is_set()


def test_top_level_domains_are_plain_labels() -> None:
    domains = top_level_domains()
    assert {"com", "dev", "uk", "shop", "xn--p1ai", "ck"} <= domains
    assert not {"local", "internal", "svc", "co.uk", "", "cluster"} & domains
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", domain) for domain in domains)
    assert len(domains) > 1300
