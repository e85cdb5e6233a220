"""Runs the core of the suite in an environment with a certain kubectl and Python."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.cluster.commands import ClusterError, run
from tests.cluster.images import SYSTEM_PYTHON
from tests.cluster.node import Node
from tests.cluster.paths import CHECKOUT, Cache
from tests.cluster.prepare import Preparation
from tests.environment import KUBECTL, PYTHON
from tests.matrix import kubectls, pythons
from tests.matrix.combination import Combination
from tests.matrix.result import Result, count, write

RESULTS = CHECKOUT / "build" / "matrix"
NODE = "LOCALIZE_TEST_NODE"
SOURCES = ("kubectl_localize", "tests/real", "setup.cfg")
RUN_SECONDS = 1800
PYTEST = (sys.executable, "-m", "pytest", "tests/real", "-m", "core", "-n", "3", "--dist", "loadgroup")


def default_python() -> str:
    """The minor version of the Python that the product is otherwise tested with."""
    return pythons.version(SYSTEM_PYTHON).rpartition(".")[0]


def source_key() -> str:
    """A key of what is tested and of the tests."""
    total = hashlib.sha256()
    for name in SOURCES:
        place = CHECKOUT / name
        files = [place] if place.is_file() else sorted(place.rglob("*.py"))
        for file in files:
            total.update(str(file.relative_to(CHECKOUT)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:12]


@dataclass(frozen=True)
class Runs:
    """Runs on one node."""

    node: Node
    copies: Path

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Runs]:
        """Have the node up meanwhile; copies of Pythons go at the end."""
        given = os.environ.get(NODE)
        node = Node(given or "matrix", Cache.default())
        copies = Path(f"/var/tmp/localize-pythons-{os.getpid()}")
        try:
            copies.mkdir(mode=0o755)
            if not given:
                Preparation(Cache.default()).all()
                node.up()
            yield cls(node, copies)
        finally:
            shutil.rmtree(copies, ignore_errors=True)
            if not given:
                node.down()

    def run(self, combination: Combination) -> Result:
        """Run one combination and keep its result; one that cannot be had is a result, too."""
        print(f"matrix: {combination.name}", file=sys.stderr, flush=True)
        result = Result(combination, datetime.now(UTC).date().isoformat(), source_key())
        try:
            kubectl = kubectls.kubectl(combination.kubectl)
            python = pythons.python(combination.python, self.copies)
        except ClusterError as error:
            result = replace(result, not_run=str(error).splitlines()[0])
        else:
            result = self._tested(result, kubectl, python)
        write(RESULTS, result)
        return result

    def _tested(self, result: Result, kubectl: Path, python: Path) -> Result:
        """The result with what became of the tests; where pytest did not get so far, none has passed."""
        environment = {**os.environ, NODE: self.node.name, KUBECTL: str(kubectl), PYTHON: str(python)}
        environment |= {"PYTHONPATH": str(CHECKOUT), "LOCALIZE_TEST_ROUNDS": "1"}
        report = CHECKOUT / "build" / "matrix.xml"
        report.parent.mkdir(exist_ok=True)
        report.unlink(missing_ok=True)
        argv = [*PYTEST, f"--junitxml={report}"]
        try:
            subprocess.run(argv, cwd=CHECKOUT, env=environment, timeout=RUN_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            print(f"matrix: no end after {RUN_SECONDS} s", file=sys.stderr)
        finally:
            run(sys.executable, "-m", "tests.environment", "remove", cwd=CHECKOUT, env=environment)
        passed, failed = count(report.read_text()) if report.exists() else (0, 0)
        return replace(
            result,
            kubectl=kubectls.version(kubectl),
            python=pythons.version(python),
            passed=passed,
            failed=failed,
            others=(("Kubernetes", self._server(kubectl)), ("ssh", _ssh())),
        )

    def _server(self, kubectl: Path) -> str:
        answer = run(kubectl, f"--kubeconfig={self.node.kubeconfig}", "version", "-o", "json")
        return str(json.loads(answer)["serverVersion"]["gitVersion"])


def _ssh() -> str:
    done = subprocess.run(["ssh", "-V"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    return done.stderr.strip()
