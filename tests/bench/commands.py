"""How long commands take with 10 and 1,000 Services, as multiples of `kubectl version --client` in the same run."""

from __future__ import annotations

from tests.bench.objects import Services
from tests.bench.report import Line, Pairs, at_most_times
from tests.bench.setting import Setting, say

ROUNDS = 5
FEW = Services("bench-10", 10, 5)
MANY = Services("bench-1000", 1000, 20)
BARE = ["kubectl", "version", "--client"]
STOP = ["kubectl", "localize", "stop"]
LIST = ["kubectl", "localize", "ls"]


def start_of(services: Services) -> list[str]:
    """The command that forwards these Services in the background."""
    return ["kubectl", "localize", "--namespace", services.namespace, "--detach"]


def start_few(setting: Setting) -> list[Line]:
    """`kubectl localize -d` with 10 Services."""
    return [_start(setting, FEW, 8)]


def start_many(setting: Setting) -> list[Line]:
    """The same with 1,000."""
    return [_start(setting, MANY, 14)]


def ls_few(setting: Setting) -> list[Line]:
    """`kubectl localize ls` with 10 Services."""
    return [_list(setting, FEW, 2.5)]


def ls_many(setting: Setting) -> list[Line]:
    """The same with 1,000."""
    return [_list(setting, MANY, 3.5)]


def _start(setting: Setting, services: Services, bound: float) -> Line:
    setting.make(services)
    setting.stop()
    commands = {"localize": start_of(services), "bare": BARE}
    say(f"localize -d, {services.count} Services")
    setting.probe("commands", commands={"warm": commands["localize"]}, after={"warm": STOP}, rounds=1)
    seconds = setting.probe("commands", commands=commands, after={"localize": STOP}, rounds=ROUNDS)
    return at_most_times(f"localize -d, {services.count:,} Services", _pairs(seconds), bound)


def _list(setting: Setting, services: Services, bound: float) -> Line:
    setting.make(services)
    setting.stop()
    say(f"localize ls, {services.count} Services")
    setting.probe("commands", commands={"start": start_of(services), "warm": LIST}, rounds=1)
    seconds = setting.probe("commands", commands={"localize": LIST, "bare": BARE}, rounds=ROUNDS)
    setting.stop()
    return at_most_times(f"localize ls, {services.count:,} Services", _pairs(seconds), bound)


def _pairs(seconds: dict[str, list[float]]) -> Pairs:
    return Pairs(seconds["localize"], seconds["bare"])
