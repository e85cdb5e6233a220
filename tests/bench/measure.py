"""The measurements, one after the other, each handing back the table's lines."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import objects
from tests.bench.processes import memory_mb, processor_seconds
from tests.bench.report import Line, Pairs, at_least_of, at_most, at_most_over
from tests.cluster.commands import ClusterError, wait_until
from tests.real.cluster import Cluster
from tests.real.sandbox import Sandbox

NAMESPACE = "bench"
PROBE = Path(__file__).with_name("probe.py").read_text()
STARTS = 3
IDLE_SECONDS = 30.0
FIRSTS = 11
DOWNLOADS = 15
DOWNLOAD_BYTES = 192 << 20
BARE_SPEED = 250
ROUND_TRIPS = 101
COMMANDS = 11


class Bench:
    """One run.

    Args:
        cluster: where the Services are made.
        sandbox: the user that measures.
    """

    def __init__(self, cluster: Cluster, sandbox: Sandbox) -> None:
        self._cluster = cluster
        self._sandbox = sandbox

    def run(self) -> list[Line]:
        """Make the Services and measure everything."""
        self._prepare()
        return [*self._many(), *self._connections(), *self._ls()]

    def end(self) -> None:
        """Take everything away again."""
        self._sandbox.localize("stop")
        self._sandbox.kill_all(self._sandbox.processes())
        self._cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false", "--ignore-not-found")

    def _prepare(self) -> None:
        self._sandbox.use(self._cluster.kubectl("config", "view", "--raw", "--flatten", "--minify"))
        _say(f"making {objects.SERVICES} Services on {objects.PODS} pods")
        self._cluster.make_namespace(NAMESPACE)
        self._cluster.apply(NAMESPACE, *objects.pods())
        self._cluster.apply(NAMESPACE, *objects.services())
        ready = ("wait", "pod", "--selector=bench", "--for=condition=Ready", f"--namespace={NAMESPACE}")
        self._cluster.kubectl(*ready, "--timeout=600s", timeout_seconds=620)
        wait_until("endpoints of every Service", self._all_have_endpoints, 60, every_seconds=1)

    def _all_have_endpoints(self) -> bool:
        slices = self._cluster.get("endpointslices", f"--namespace={NAMESPACE}")["items"]
        return sum(1 for one in slices if one["endpoints"]) > objects.SERVICES

    # -- what 500 Services cost ----------------------------------------------------------------------------------------
    def _many(self) -> list[Line]:
        taken = []
        for turn in range(STARTS):
            _say(f"starting kubectl localize, {turn + 1} of {STARTS}")
            if turn:
                self._sandbox.localize("stop")
            taken.append(self._start())
        pids = [process.pid for process in self._sandbox.processes()]
        _say(f"idle for {IDLE_SECONDS:g} s")
        before, began = processor_seconds(pids), time.monotonic()
        time.sleep(IDLE_SECONDS)
        used = (processor_seconds(pids) - before) / (time.monotonic() - began)
        memory = memory_mb(pids)
        bare_seconds, bare_memory = self._bare_forwards()
        return [
            at_most("500 Services: start", statistics.median(taken), bare_seconds, 2.5, "s", 2),
            at_most("500 Services: memory, idle", memory, bare_memory, 130, "MB", 0),
            at_most("500 Services: processor, idle", used * 100, 0, 0.5, "%", 3),
        ]

    def _start(self) -> float:
        argv = ["kubectl", "localize", "--namespace", NAMESPACE, "--detach"]
        [seconds] = self._probe("commands", commands={"start": argv}, rounds=1)["start"]
        return float(seconds)

    def _bare_forwards(self) -> tuple[float, float]:
        """Seconds until one port-forward for each Service is ready, and the memory of all of them."""
        _say(f"starting {objects.SERVICES} kubectl port-forward")
        services = [(f"svc-{number}", objects.port_of(number)) for number in range(objects.SERVICES)]
        request = json.dumps({"namespace": NAMESPACE, "services": services})
        argv = self._sandbox.argv("/usr/bin/python3", "-c", PROBE, "forwards", request)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            answer = json.loads(holder.stdout.readline())
            memory = memory_mb(answer["pids"])
            holder.communicate()
        return answer["seconds"], memory

    # -- what a connection costs ---------------------------------------------------------------------------------------
    def _connections(self) -> list[Line]:
        items = {item["name"]: item for item in self._items()}
        fast = items["fast"]["address"]
        _say("first connections")
        services = [
            {"name": name, "address": items[name]["address"], **_ports(items[name])}
            for name in (f"svc-{number}" for number in range(1, 1 + FIRSTS))
        ]
        first = self._in_turns("first", services=services)
        _say("downloads")
        download = self._in_turns(
            "download", address=fast, port=objects.DOWNLOAD, rounds=DOWNLOADS, bytes=DOWNLOAD_BYTES
        )
        _say("round trips")
        trip = self._in_turns("round_trip", address=fast, port=objects.ECHO, rounds=ROUND_TRIPS, count=30)
        speed = download.medians[1]
        return [
            at_most_over("first connection", first, 0.15, "s"),
            at_least_of("download", download, 0.93, "MB/s"),
            Line("  bare itself", "", f"{speed:.0f} MB/s", "", f"at least {BARE_SPEED} MB/s", speed >= BARE_SPEED),
            at_most_over("warm round trip", trip, 0.1, "ms"),
        ]

    def _ls(self) -> list[Line]:
        _say("ls")
        commands = {"localize": ["kubectl", "localize", "ls"], "bare": ["kubectl", "version", "--client"]}
        taken = self._in_turns("commands", commands=commands, rounds=COMMANDS)
        return [at_most_over("ls (bare: version --client)", taken, 0.2, "s")]

    def _items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self._sandbox.localize("ls", "--output=json").stdout)["items"]
        return items

    def _in_turns(self, operation: str, **request: Any) -> Pairs:
        taken = self._probe(operation, **request)
        return Pairs(taken["localize"], taken["bare"])

    def _probe(self, operation: str, **request: Any) -> dict[str, list[float]]:
        text = json.dumps({"namespace": NAMESPACE, **request})
        done = self._sandbox.run("/usr/bin/python3", "-c", PROBE, operation, text, timeout=300)
        if done.returncode:
            raise ClusterError(f"the probe {operation} failed:\n{done.stderr}")
        answer: dict[str, list[float]] = json.loads(done.stdout)
        return answer


def _ports(item: dict[str, Any]) -> dict[str, int]:
    return {"port": item["ports"][0]["port"], "localPort": item["ports"][0]["localPort"]}


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)
