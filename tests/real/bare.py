"""A bare `kubectl port-forward`, as a person runs it, beside which the product is measured."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.cluster.commands import wait_until
from tests.real.sandbox import Sandbox


@dataclass(frozen=True)
class Bare:
    """One that runs: the port of this machine that it listens at, and its process."""

    port: int
    pid: int


@contextlib.contextmanager
def bare_forward(
    sandbox: Sandbox, namespace: str, port: int, service: str = "web", env: Mapping[str, str] | None = None
) -> Iterator[Bare]:
    """A bare port-forward to a port of a Service; it is killed at the end."""
    log = sandbox.root / f"bare-{service}.log"  # a pipe that nobody empties would stop it after 2,200 connections
    argv = sandbox.argv("kubectl", "port-forward", "-n", namespace, f"service/{service}", f":{port}", env=env)
    with open(log, "w") as file:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT)
    said = re.compile(r":(\d+) ->")
    try:
        wait_until("bare port-forward", lambda: said.search(log.read_text()) is not None, 20, every_seconds=0.02)
        match = said.search(log.read_text())
        assert match is not None
        yield Bare(int(match[1]), process.pid)
    finally:
        process.kill()
        process.wait()
