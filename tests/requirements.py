"""Says in one line what is missing when the tests on the real cluster cannot run here."""

from __future__ import annotations

import os
import sys


def missing() -> str | None:
    """What to do first, or None when the tests can run."""
    if os.environ.get("LOCALIZE_TEST_KUBECONFIG"):
        if os.environ.get("LOCALIZE_TEST_IMAGE"):
            return None
        return "LOCALIZE_TEST_KUBECONFIG needs LOCALIZE_TEST_IMAGE beside it: an image with sh and Python 3"
    if os.geteuid() == 0:
        return None
    return (
        "the tests start a real cluster, which needs root: run `sudo make test`, "
        "or name a cluster of yours with LOCALIZE_TEST_KUBECONFIG=… and LOCALIZE_TEST_IMAGE=…"
    )


def main() -> int:
    """Print it; returns the exit code."""
    text = missing()
    if text is not None:
        print(f"error: {text}", file=sys.stderr)
    return 0 if text is None else 1


if __name__ == "__main__":
    sys.exit(main())
