"""The registry of addresses: distinct, stable, shared, tidy."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_localize.errors import LocalizeError, UsageError
from kubectl_localize.host.addresses import AddressRegistry, validate_range
from kubectl_localize.host.paths import locked
from kubectl_localize.timing import first_of

NETWORK = ipaddress.IPv4Network("127.64.0.0/10")
SMALL = ipaddress.IPv4Network("127.64.3.0/24")
DAY = date(2025, 3, 1)
NAMES = st.lists(st.text("abcdefgh/-", min_size=1, max_size=12), max_size=60)


def registry(
    directory: Path,
    network: ipaddress.IPv4Network = NETWORK,
    today: date = DAY,
    name: str = "addresses",
    lock_seconds: float = 30,
) -> AddressRegistry:
    return AddressRegistry(directory / f"{name}.json", directory / f"{name}.lock", network, lambda: today, lock_seconds)


def assigned(addresses: AddressRegistry, key: str, names: Iterable[str]) -> dict[str, str]:
    """What the registry assigns, for tests without an event loop of their own."""
    return asyncio.run(addresses.assign(key, names))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["one-1", "two-2"]), NAMES), min_size=1, max_size=4), st.randoms())
def test_addresses_are_distinct_and_stable(batches: list[tuple[str, list[str]]], random: object) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        held: dict[tuple[str, str], str] = {}
        for key, names in batches:
            addresses = assigned(registry(directory), key, names)
            assert set(addresses) == set(names)
            for name, address in addresses.items():
                assert held.setdefault((key, name), address) == address
        assert len(set(held.values())) == len(held)
        for key, names in batches:
            assert assigned(registry(directory), key, reversed(names)) == {name: held[key, name] for name in names}


@settings(max_examples=20, deadline=None)
@given(
    st.sets(st.text("abcdefgh/-", min_size=1, max_size=12), max_size=200).flatmap(
        lambda names: st.tuples(st.permutations(sorted(names)), st.permutations(sorted(names)))
    )
)
def test_order_of_a_batch_does_not_matter_even_when_it_is_crowded(orders: tuple[list[str], list[str]]) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        first, second = orders
        reference = assigned(registry(Path(temporary), SMALL, name="one"), "k", first)
        assert assigned(registry(Path(temporary), SMALL, name="two"), "k", second) == reference


def test_a_full_network_gives_every_fit_address_and_then_an_error(tmp_path: Path) -> None:
    names = [f"ns/s{number}" for number in range(254)]
    addresses = assigned(registry(tmp_path, SMALL), "k", names).values()
    assert sorted(addresses) == sorted(f"127.64.3.{octet}" for octet in range(1, 255))
    with pytest.raises(LocalizeError, match="no address is left") as caught:
        assigned(registry(tmp_path, SMALL), "k", ["ns/one-more"])
    assert "--ip-range" in caught.value.hint


def test_last_octets_0_and_255_are_left_out_everywhere(tmp_path: Path) -> None:
    network = ipaddress.IPv4Network("127.64.0.0/22")
    octets = {
        address.rpartition(".")[2]
        for address in assigned(registry(tmp_path, network), "k", [f"n/{i}" for i in range(4 * 254)]).values()
    }
    assert octets == {str(number) for number in range(1, 255)}


def test_steady_state_writes_nothing_and_a_new_day_once(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    assigned(registry(tmp_path), "k", ["n/a", "n/b"])
    first = path.stat().st_ino
    assigned(registry(tmp_path), "k", ["n/a", "n/b"])
    assigned(registry(tmp_path), "k", ["n/a"])
    assert path.stat().st_ino == first
    tomorrow = DAY + timedelta(days=1)
    assigned(registry(tmp_path, today=tomorrow), "k", ["n/a", "n/b"])
    assert str(tomorrow) in path.read_text()
    second = path.stat().st_ino
    assigned(registry(tmp_path, today=tomorrow), "k", ["n/a", "n/b"])
    assert second == path.stat().st_ino != first


def test_what_nobody_used_for_90_days_is_dropped_but_not_what_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "addresses.json"
    first = assigned(registry(tmp_path), "k", ["n/kept", "n/dropped"])
    later = assigned(registry(tmp_path, today=DAY + timedelta(days=90)), "other", ["n/x"])
    assert "n/dropped" in path.read_text()
    again = assigned(registry(tmp_path, today=DAY + timedelta(days=91)), "k", ["n/kept"])
    assert again["n/kept"] == first["n/kept"]
    assert "n/dropped" not in path.read_text()
    assert later["n/x"] in path.read_text()


def test_another_range_moves_an_address(tmp_path: Path) -> None:
    assigned(registry(tmp_path), "k", ["n/a"])
    moved = assigned(registry(tmp_path, SMALL), "k", ["n/a"])["n/a"]
    assert ipaddress.IPv4Address(moved) in SMALL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 2, "contexts": {}}',
        '{"version": 1, "contexts": {"k": {"n/a": "x"}}}',
        '{"version": 1}',
        '{"version": 1, "contexts": {"k": {"n/a": ["127.64.300.1", "2025-03-01"]}}}',
        "\udcff",
    ],
)
def test_a_broken_registry_is_kept_aside_and_begun_anew(tmp_path: Path, text: str) -> None:
    expected = assigned(registry(tmp_path, name="fresh"), "k", ["n/a"])
    path = tmp_path / "addresses.json"
    path.write_text(text, errors="surrogateescape")
    assert assigned(registry(tmp_path), "k", ["n/a"]) == expected
    assert (tmp_path / "addresses.json.broken").read_text(errors="surrogateescape") == text
    assert json.loads(path.read_text())["version"] == 1


def test_two_holders_of_one_address_are_parted(tmp_path: Path) -> None:
    entry = ["127.64.9.9", str(DAY)]
    document = {"version": 1, "contexts": {"k": {"n/a": entry, "n/b": entry}}}
    (tmp_path / "addresses.json").write_text(json.dumps(document))
    addresses = assigned(registry(tmp_path), "k", ["n/a", "n/b"])
    assert addresses["n/a"] == "127.64.9.9" != addresses["n/b"]


def test_supervisors_at_the_same_time_get_distinct_addresses(tmp_path: Path) -> None:
    results: list[dict[str, str]] = []

    def run(key: str) -> None:
        for part in range(5):
            results.append(assigned(registry(tmp_path, SMALL), key, [f"n/{part}-{i}" for i in range(10)]))

    threads = [threading.Thread(target=run, args=(f"k{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    addresses = [address for result in results for address in result.values()]
    assert len(addresses) == len(set(addresses)) == 200


def test_a_thousand_names_take_less_than_50_ms(tmp_path: Path) -> None:
    names = [f"namespace-{number % 20}/service-{number}" for number in range(1000)]
    took = []
    for _ in range(3):
        (tmp_path / "addresses.json").unlink(missing_ok=True)
        before = time.process_time()
        assigned(registry(tmp_path), "k", names)
        took.append(time.process_time() - before)
    assert min(took) < 0.05


async def test_a_stopped_process_that_holds_the_lock_does_not_stop_the_event_loop(tmp_path: Path) -> None:
    addresses = registry(tmp_path)
    with locked(tmp_path / "addresses.lock", 0):
        assigning = asyncio.create_task(addresses.assign("k", ["n/a"]))
        await first_of(assigning, timeout_seconds=0.1, owned=False)
        assert not assigning.done()
    assert set(await assigning) == {"n/a"}


async def test_a_lock_that_is_never_released_is_an_error_that_names_its_holder(tmp_path: Path) -> None:
    with (
        locked(tmp_path / "addresses.lock", 0),
        pytest.raises(LocalizeError, match="locked by another process") as caught,
    ):
        await registry(tmp_path, lock_seconds=0.05).assign("k", ["n/a"])
    assert f"`fuser {tmp_path / 'addresses.lock'}`" in caught.value.hint


def test_an_unusable_place_is_an_error_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "addresses.json").mkdir()
    (tmp_path / "addresses.json.broken" / "full").mkdir(parents=True)
    with pytest.raises(LocalizeError, match="is in the way"):
        assigned(registry(tmp_path), "k", ["n/a"])
    assert os.listdir(tmp_path / "addresses.json") == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_what_is_no_registry_is_moved_aside(make: Callable[[Path], None], tmp_path: Path) -> None:
    before = assigned(registry(tmp_path), "k", ["n/a"])
    (tmp_path / "addresses.json").unlink()
    make(tmp_path / "addresses.json")
    assert assigned(registry(tmp_path), "k", ["n/a"]) == before
    assert (tmp_path / "addresses.json.broken").exists()


def test_a_registry_that_is_nested_too_deeply_is_made_anew(tmp_path: Path) -> None:
    before = assigned(registry(tmp_path), "k", ["n/a"])
    (tmp_path / "addresses.json").write_text("[" * 100_000)
    assert assigned(registry(tmp_path), "k", ["n/a"]) == before


@pytest.mark.parametrize("text", ["127.64.0.0/10", "127.1.0.0/24", "127.128.0.0/9"])
def test_good_ranges(text: str) -> None:
    assert validate_range(text) == ipaddress.IPv4Network(text)


@pytest.mark.parametrize(
    "text",
    ["", "x", "10.0.0.0/8", "127.0.0.0/8", "127.0.0.0/16", "127.0.4.0/24", "127.64.0.0/25", "127.64.0.1/10", "::1/64"],
)
def test_bad_ranges(text: str) -> None:
    with pytest.raises(UsageError):
        validate_range(text)
