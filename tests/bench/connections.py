"""What a connection costs, beside one through a bare `kubectl port-forward`."""

from __future__ import annotations

from typing import Any

from tests.bench import objects
from tests.bench.many import SERVICES, START
from tests.bench.report import Line, Pairs, at_least_of, at_most_over
from tests.bench.setting import Setting, say

FIRSTS = 11
DOWNLOADS = 15
DOWNLOAD_BYTES = 192 << 20
BARE_SPEED = 250
ROUND_TRIPS = 101


def connections(setting: Setting) -> list[Line]:
    """The first connection to a Service, downloads and round trips; the product and bare kubectl in turns."""
    setting.make(SERVICES)
    setting.stop()
    setting.probe("commands", commands={"start": START}, rounds=1)
    items = {item["name"]: item for item in setting.items()}
    fast = items["fast"]["address"]
    say("first connections")
    services = [
        {"name": name, "address": items[name]["address"], **_ports(items[name])}
        for name in (f"svc-{number}" for number in range(1, 1 + FIRSTS))
    ]
    first = _in_turns(setting, "first", services=services)
    say("downloads")
    download = _in_turns(
        setting, "download", address=fast, port=objects.DOWNLOAD, rounds=DOWNLOADS, bytes=DOWNLOAD_BYTES
    )
    say("round trips")
    trip = _in_turns(setting, "round_trip", address=fast, port=objects.ECHO, rounds=ROUND_TRIPS, count=30)
    setting.stop()
    speed = download.medians[1]
    return [
        at_most_over("first connection", first, 0.15, "s"),
        at_least_of("download", download, 0.93, "MB/s"),
        Line("  bare itself", "", f"{speed:.0f} MB/s", "", f"at least {BARE_SPEED} MB/s", speed >= BARE_SPEED),
        at_most_over("warm round trip", trip, 0.1, "ms"),
    ]


def _in_turns(setting: Setting, operation: str, **request: Any) -> Pairs:
    figures = setting.probe(operation, namespace=SERVICES.namespace, **request)
    return Pairs(figures["localize"], figures["bare"])


def _ports(item: dict[str, Any]) -> dict[str, int]:
    return {"port": item["ports"][0]["port"], "localPort": item["ports"][0]["localPort"]}
