"""What the tree of processes takes while nobody connects, in the background and in the foreground."""

from __future__ import annotations

import statistics
import time

from tests.bench.commands import FEW, MANY, start_of
from tests.bench.objects import Services
from tests.bench.processes import memory_mb
from tests.bench.report import Line, at_most
from tests.bench.setting import Setting, say
from tests.cluster.commands import wait_until

LOOKS = 5
SETTLING_SECONDS = 5.0
SECONDS_BETWEEN = 1.0


def memory_few(setting: Setting) -> list[Line]:
    """The proportional set size of all processes with 10 Services."""
    return _both(setting, FEW, 75)


def memory_many(setting: Setting) -> list[Line]:
    """The same with 1,000."""
    return _both(setting, MANY, 100)


def _both(setting: Setting, services: Services, bound_mb: float) -> list[Line]:
    setting.make(services)
    setting.stop()
    say(f"memory, {services.count} Services")
    setting.probe("commands", commands={"start": start_of(services)}, rounds=1)
    detached = _idle_mb(setting)
    setting.stop()
    foreground = [word for word in start_of(services) if word != "--detach"]
    with setting.sandbox.spawn(*foreground) as command:
        wait_until("forwards of every Service", lambda: len(setting.items()) >= services.count, 60, 0.5)
        attached = _idle_mb(setting)
        setting.stop()
        command.communicate()
    name = f"memory, idle, {services.count:,} Services"
    return [
        at_most(f"{name}, -d", detached, 0, bound_mb, "MB", 0),
        at_most(f"{name}, foreground", attached, 0, bound_mb, "MB", 0),
    ]


def _idle_mb(setting: Setting) -> float:
    """The median of several looks, once what a start leaves behind has come to rest."""
    time.sleep(SETTLING_SECONDS)
    looks = []
    for _ in range(LOOKS):
        time.sleep(SECONDS_BETWEEN)
        looks.append(memory_mb(process.pid for process in setting.sandbox.processes()))
    return statistics.median(looks)
