"""The matrix's command line: `python -m tests.matrix VERB`, from the top of the checkout, as root.

    all             run every combination, and write docs/compatibility.md
    list            print the combinations' names
    run NAME…       run some, and keep their results in build/matrix
    report          write docs/compatibility.md from the results that are kept, of these very sources

A node of its own is started and taken down; LOCALIZE_TEST_NODE names one that is up already and stays up. Exit code 1
if a test failed, or if a kubectl that has to run could not be had.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys

from tests.cluster.commands import ClusterError
from tests.cluster.paths import CHECKOUT
from tests.matrix.combination import Combination, combinations
from tests.matrix.report import page, verdict
from tests.matrix.result import Result, read
from tests.matrix.runs import RESULTS, Runs, default_python, source_key
from tests.requirements import missing

PAGE = CHECKOUT / "docs" / "compatibility.md"


def _report(wanted: list[Combination]) -> int:
    """Write the page; returns the exit code."""
    key = source_key()
    results = [read(RESULTS, one, key) or Result(one, "", key, not_run="it has no result yet") for one in wanted]
    PAGE.write_text(page(results))
    print(page(results))
    wrong = verdict(results)
    if wrong:
        print(f"error: {wrong}", file=sys.stderr)
    return 1 if wrong else 0


def _run(wanted: list[Combination]) -> None:
    text = missing()
    if text is not None:
        raise ClusterError(text)
    with Runs.open() as runs:
        for one in wanted:
            runs.run(one)


def main(words: list[str]) -> int:
    """Carry out one verb; returns the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):  # ignored in a background job, and then by all that the tests start
        signal.signal(number, signal.default_int_handler)
    every = combinations(default_python())
    verb, *names = words or [""]
    if any(os.environ.get(name) for name in ("LOCALIZE_TEST_KUBECTL", "LOCALIZE_TEST_PYTHON")):
        print("error: the matrix itself says which kubectl and Python are tried", file=sys.stderr)
        return 1
    try:
        match verb:
            case "all":
                shutil.rmtree(RESULTS, ignore_errors=True)
                _run(every)
                return _report(every)
            case "list":
                print("\n".join(one.name for one in every))
            case "run" if names and set(names) <= {one.name for one in every}:
                _run([one for one in every if one.name in names])
            case "report":
                return _report(every)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
