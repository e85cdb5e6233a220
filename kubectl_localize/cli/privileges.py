"""Asks sudo, at the user's terminal, for the privileged helper that a supervisor needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from kubectl_localize.cli.terminal import Console, can_ask, in_background
from kubectl_localize.host.helper_command import helper_argv
from kubectl_localize.host.paths import RunPaths
from kubectl_localize.model import Options
from kubectl_localize.protocol import PrivilegesNeeded

_MOST_PORTS = 5


def start_helper(needs: PrivilegesNeeded, options: Options, paths: RunPaths, console: Console) -> str:
    """Start the privileged helper through sudo, which may ask for a password here.

    Args:
        needs: what it is for.
        options: of the forwards.
        paths: where helper and supervisor meet.
        console: says what is asked for.

    Returns:
        Why it could not be started; empty if it was.
    """
    if os.geteuid() == 0:
        return "root itself may not"
    if shutil.which("sudo") is None:
        return "sudo is not installed"
    console.line(f"asking sudo for the right to {' and to '.join(describe(needs, options.hosts_file))}")
    interactive = can_ask()
    argv = helper_argv(
        socket=paths.helper_socket,
        uid=os.getuid(),
        key=paths.key,
        hosts_file=Options().hosts_file,
        ip_range=options.ip_range,
        use_sudo=True,
        interactive=interactive,
    )
    # not run(), which would try to kill sudo on Ctrl-C, and could not; sudo gets the Ctrl-C itself
    refused = subprocess.Popen(argv).wait()
    if not refused:
        return ""
    return "sudo was refused" if interactive else f"sudo was refused; {_why_not_asked()}"


def _why_not_asked() -> str:
    if in_background(sys.stdin):
        return "it cannot ask for a password in the background: start this in the foreground, with -d"
    return "it cannot ask for a password without a terminal"


def describe(needs: PrivilegesNeeded, hosts_file: str) -> list[str]:
    """What sudo is asked for, a phrase each."""
    phrases = [f"write names to {hosts_file}"] if needs.hosts else []
    if needs.ports:
        phrases.append(f"bind port{'s' if len(needs.ports) > 1 else ''} {_listed(needs.ports)}")
    return phrases + (["add addresses to the loopback interface"] if needs.addresses else [])


def _listed(ports: Sequence[int]) -> str:
    text = ", ".join(str(port) for port in ports[:_MOST_PORTS])
    more = len(ports) - _MOST_PORTS
    return f"{text} and {more} more" if more > 0 else text
