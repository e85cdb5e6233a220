"""What 500 Services cost, beside a `kubectl port-forward` for each."""

from __future__ import annotations

import json
import statistics
import subprocess
import time

from tests.bench import objects
from tests.bench.objects import Services
from tests.bench.processes import memory_mb, processor_seconds
from tests.bench.report import Line, at_most
from tests.bench.setting import PROBE, Setting, say

SERVICES = Services("bench", 500, 100)
STARTS = 3
IDLE_SECONDS = 30.0
START = ["kubectl", "localize", "--namespace", SERVICES.namespace, "--detach"]


def many(setting: Setting) -> list[Line]:
    """Start, and memory and processor time while nobody connects."""
    setting.make(SERVICES)
    seconds = []
    for turn in range(STARTS):
        say(f"starting kubectl localize, {turn + 1} of {STARTS}")
        setting.stop()
        seconds += setting.probe("commands", commands={"start": START}, rounds=1)["start"]
    pids = [process.pid for process in setting.sandbox.processes()]
    say(f"idle for {IDLE_SECONDS:g} s")
    before, began = processor_seconds(pids), time.monotonic()
    time.sleep(IDLE_SECONDS)
    used = (processor_seconds(pids) - before) / (time.monotonic() - began)
    memory = memory_mb(pids)
    setting.stop()
    bare_seconds, bare_memory = _bare_forwards(setting)
    return [
        at_most("500 Services: start", statistics.median(seconds), bare_seconds, 2.5, "s", 2),
        at_most("500 Services: memory, idle", memory, bare_memory, 130, "MB", 0),
        at_most("500 Services: processor, idle", used * 100, 0, 0.5, "%", 3),
    ]


def _bare_forwards(setting: Setting) -> tuple[float, float]:
    """Seconds until one port-forward for each Service is ready, and the memory of all of them in MB."""
    say(f"starting {SERVICES.count} kubectl port-forward")
    services = [(f"svc-{number}", objects.port_of(number)) for number in range(SERVICES.count)]
    request = json.dumps({"namespace": SERVICES.namespace, "services": services})
    argv = setting.sandbox.argv("/usr/bin/python3", "-c", PROBE, "forwards", request)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        answer = json.loads(holder.stdout.readline())
        memory = memory_mb(answer["pids"])
        holder.communicate()
    return answer["seconds"], memory
