"""`python -m tests.bench [ROW…]`: starts a node of its own, measures all rows or these, prints one table.

LOCALIZE_TEST_NODE names a node that is up already and stays up. Exit code 0 also when a bound is missed: the table says
so; figures depend on what else the machine does.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.bench.report import Line, table
from tests.bench.rows import chosen
from tests.bench.setting import Setting
from tests.cluster.commands import ClusterError
from tests.cluster.node import Node
from tests.cluster.paths import Cache
from tests.cluster.prepare import Preparation
from tests.environment import Environment
from tests.real.cluster import Cluster
from tests.real.sandbox import open_sandbox

NODE = "bench"


@contextmanager
def _cluster() -> Iterator[Cluster]:
    given = os.environ.get("LOCALIZE_TEST_NODE")
    node = Node(given or NODE, Cache.default())
    try:
        if not given:
            Preparation(Cache.default()).all()
            node.up()
        yield Cluster.of_node(node)
    finally:
        if not given:
            node.down()


def main(names: Sequence[str]) -> int:
    """Measure and print; returns the exit code."""
    lines: list[Line] = []
    if os.geteuid() != 0:
        print("error: the bench starts a real cluster, which needs root: run `sudo make bench`", file=sys.stderr)
        return 1
    os.umask(0o022)
    load = os.getloadavg()[0]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # or the node would stay
    try:
        measurements = chosen(names)
        Environment.of_checkout().make()
        with _cluster() as cluster, open_sandbox() as sandbox, Setting(cluster, sandbox) as setting:
            for measure in measurements:
                lines += measure(setting)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(lines))
    print(f"on {os.cpu_count()} processors that had {load:.1f} things to do when this began; a busy machine is slower")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
