"""Running commands and waiting for conditions, with errors that say what was run."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


class ClusterError(Exception):
    """Something of the test cluster failed; the message is for a person."""


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout_seconds: float = 60,
) -> str:
    """Run a command to its end and return its stdout; ClusterError with its stderr when it fails."""
    words = [str(word) for word in argv]
    environment = dict(os.environ if env is None else env)
    # A root that came by `su` has no sbin in its PATH.
    environment["PATH"] = f"{environment.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            input=stdin,
            env=environment,
            text=True,
            capture_output=True,
            timeout=timeout_seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{words[0]}: not found") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{' '.join(words)}: no end after {timeout_seconds:g} s") from error
    if done.returncode:
        raise ClusterError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def without_proxy_for(*hosts: str) -> dict[str, str]:
    """Variables for an environment in which these hosts are reached directly, also if a proxy serves all others."""
    exempt = [value for value in (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), *hosts) if value]
    return dict.fromkeys(("NO_PROXY", "no_proxy"), ",".join(exempt))


def succeeds(*argv: str | Path, timeout_seconds: float = 10) -> bool:
    """Whether a command ends with exit code 0."""
    try:
        run(*argv, timeout_seconds=timeout_seconds)
    except ClusterError:
        return False
    return True


def show(*argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> None:
    """Run a long command whose output a person should see; ClusterError when it fails."""
    words = [str(word) for word in argv]
    sys.stdout.flush()
    if subprocess.run(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, check=False).returncode:
        raise ClusterError(f"failed: {' '.join(words)}")


def wait_until(what: str, condition: Callable[[], bool], seconds: float = 60, every_seconds: float = 0.1) -> None:
    """Return as soon as the condition holds; ClusterError when it still does not after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise ClusterError(f"no {what} after {seconds:g} s")
        time.sleep(every_seconds)


def as_root() -> list[str]:
    """The words to put before a command that needs root: none, or sudo's; ClusterError when there is no way."""
    if os.geteuid() == 0:
        return []
    if not any((Path(directory) / "sudo").exists() for directory in os.get_exec_path()):
        raise ClusterError("the cluster needs root: run this as root, or install sudo")
    return ["sudo"]
